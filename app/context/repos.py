"""The services' own repositories: READMEs, files and code, read on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.addresses import Address, AddressRefused, of_service
from app.context.bare import Bare, Entry, Line
from app.context.github import GitHub, GitHubFile, GitHubUnavailable
from app.context.mirror_pool import MirrorPool
from app.context.mirrors import SHORT, Copy, Mirror
from app.context.models import Readme, Service, Source
from app.context.paths import checked, is_secret
from app.errors import AgentError

T = TypeVar("T")
log = structlog.get_logger(__name__)

PULL_EVERY_SECONDS = 60
LARGEST_FILE = 512 * 1024
MOST_LISTED = 200
MOST_READ = 40
MOST_LINES = 40
MOST_LINES_A_FILE = 4
GENERATED = (
    *("**/*.lock", "**/package-lock.json", "**/pnpm-lock.yaml", "**/go.sum", "**/*.min.js", "**/*.min.css"),
    *("**/*.map", "**/*.svg", "**/node_modules/**", "**/vendor/**", "**/dist/**", "**/__snapshots__/**"),
)
README = re.compile(r"(docs/)?readme(\.md|\.markdown|\.rst|\.adoc|\.txt)?", re.IGNORECASE)
TESTS = re.compile(r"(^|/)(tests?|spec|__tests__|testdata)(/|$)|[._-](test|spec)\.", re.IGNORECASE)


class NoRepository(AgentError):
    """The catalog does not say where a service's code is."""

    code = "no_repository"


class NoSuchFile(AgentError):
    """The repository has no text file of that name."""

    code = "no_such_file"


@dataclass(frozen=True)
class Page:
    """A file of a repo, or the listing of a folder; `notice` when it is not the newest copy."""

    text: str
    source: Source
    notice: str | None = None
    is_folder: bool = False


@dataclass(frozen=True)
class Hits:
    """Lines found in a repo's code, the most telling first, each with the address of the line."""

    lines: tuple[tuple[Line, Source], ...]
    paths: tuple[str, ...]
    revision: str
    notice: str | None = None


class Repos:
    """Reads the repos that the catalog names, and no others.

    `token` is sent to the host of `github_api_url` alone. Mirrors live below `folder`, made when code is
    first asked for, and `most_mirrors` of them are kept. `local_too` says that the catalog may name repos of
    this machine: one that came over the network must not choose what is read here.
    """

    def __init__(
        self,
        folder: Path,
        engine: AsyncEngine,
        *,
        github_api_url: str = "https://api.github.com",
        token: SecretStr | None = None,
        most_mirrors: int = 50,
        local_too: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api_url = github_api_url
        self._local_too = local_too
        self._github = GitHub(engine, api_url=github_api_url, token=token, clock=clock)
        self._mirrors = MirrorPool(
            folder,
            most_mirrors,
            lambda address, place: Mirror(
                address, "HEAD", place, token=token, github_api_url=github_api_url, clock=clock
            ),
        )

    async def readme(self, service: Service) -> Readme:
        """The README of a service's repo, at its top or in `docs`; its text is None when there is none.

        Raises:
            AgentError: the repo cannot be reached and there is no earlier copy.
        """
        address = self._address(service)
        if address.is_on(self._api_url):
            return as_readme(service, await self._github.readme(address.slug))
        copy, read = await self._read(address, first_readme)
        if read is None:
            return Readme(notice=copy.notice)
        path, text = read
        source = self._source(address, copy, path, kind="readme", title=f"README of {service.name}")
        return Readme(text=text, source=source, notice=copy.notice)

    async def page(self, service: Service, path: str) -> Page:
        """A file of a service's repo, or what is in a folder ("" for the top).

        Raises:
            PathRefused: the path leaves the repo or looks like a secret.
            NoSuchFile: there is no such file, or it is no text, or too large.
            AgentError: the repo cannot be reached and there is no earlier copy.
        """
        address, plain = self._address(service), checked(path)
        if address.is_on(self._api_url):
            try:
                return await self._github_page(address, plain)
            except GitHubUnavailable as error:
                log.warning("github_away_using_git", repo=address.slug, reason=error.sentence)
        copy, (text, is_folder) = await self._read(
            address, lambda bare, revision: file_or_folder(bare, revision, plain)
        )
        return Page(text, self._source(address, copy, plain), copy.notice, is_folder)

    async def search(self, service: Service, text: str) -> Hits:
        """Where a text stands in a service's code: as it is, else the files that hold all its words.

        Raises:
            AgentError: the repo cannot be reached and there is no earlier copy.
        """
        address = self._address(service)
        copy, (lines, paths) = await self._read(address, lambda bare, revision: find(bare, revision, text))
        placed = tuple((line, self._source(address, copy, line.path, line=line.number)) for line in lines)
        return Hits(placed, paths, copy.revision[:SHORT], copy.notice)

    async def holding(self, service: Service, text: str, suffixes: tuple[str, ...]) -> tuple[Page, ...]:
        """The files of a service's repo that hold a text and end in one of `suffixes`, by path; not what
        looks like a secret, is no text, or is too large.

        Raises:
            AgentError: the repo cannot be reached and there is no earlier copy.
        """
        address = self._address(service)
        copy, found = await self._read(
            address, lambda bare, revision: files_holding(bare, revision, text, suffixes)
        )
        return tuple(Page(each, self._source(address, copy, path), copy.notice) for path, each in found)

    async def wake(self, full_name: str) -> None:
        """The repo `owner/name` changed: its next reader gets the newest, from the mirrors of this process
        and of what all replicas know of GitHub."""
        self._mirrors.wake(full_name)
        await self._github.wake(full_name)

    def _address(self, service: Service) -> Address:
        if not service.repo:
            raise NoRepository(
                f"The catalog names no repository of {service.name}; `repo` in services.yaml adds it."
            )
        try:
            address = of_service(service.repo, self._api_url)
            if not address.site and not self._local_too:
                raise AddressRefused("must name a host, as the catalog itself comes from one")
            others = bool(address.site) and not address.is_on(self._api_url)
            return replace(address, others=others, local_too=self._local_too)
        except AddressRefused as error:
            where = f" ({service.declared_in})" if service.declared_in else ""
            raise NoRepository(
                f"The catalog's repo of {service.name}{where} is not used: {error.sentence}"
            ) from error

    async def _read(self, address: Address, work: Callable[[Bare, str], T]) -> tuple[Copy, T]:
        """The newest copy of a repo, and what `work` finds in it."""
        async with self._mirrors.reading(address) as mirror:
            copy = await mirror.pull(max_age=PULL_EVERY_SECONDS)
            return copy, await mirror.read(lambda bare: work(bare, copy.revision))

    async def _github_page(self, address: Address, path: str) -> Page:
        found = await self._github.look(address.slug, path)
        if found is None:
            raise NoSuchFile(f"{address.slug} has no text file {path!r} on its default branch.")
        if isinstance(found, GitHubFile):
            too_large(path, len(found.text))
            source = Source(
                kind="code", title=f"{address.name}/{path}", path=path, url=found.url, revision=found.revision
            )
            return Page(found.text, source, found.notice)
        listed = [each for each in found.paths if not is_secret(each)][:MOST_LISTED]
        source = Source(kind="code", title=f"{address.name}/{path}", path=path)
        return Page("\n".join(listed), source, found.notice, is_folder=True)

    def _source(
        self, address: Address, copy: Copy, path: str, *, kind: str = "code", title: str = "", line: int = 0
    ) -> Source:
        short = copy.revision[:SHORT]
        page = address.page_at(short)
        url = f"{page}/{path}" + (f"#L{line}" if line else "") if page else None
        shown = title or f"{address.name}/{path}" + (f":{line}" if line else "")
        return Source(kind=kind, title=shown, path=path, url=url, revision=short)


def as_readme(service: Service, found: GitHubFile | None) -> Readme:
    if found is None:
        return Readme()
    source = Source(
        kind="readme",
        title=f"README of {service.name}",
        path=found.path,
        url=found.url,
        revision=found.revision,
    )
    return Readme(text=found.text, source=source, notice=found.notice)


def first_readme(bare: Bare, revision: str) -> tuple[str, str] | None:
    """Path and text of the README of a repo: at the top before `docs`, markdown before anything else."""

    def place(entry: Entry) -> tuple[bool, bool, str]:
        path = entry.path.lower()
        return "/" in path, not path.endswith((".md", ".markdown")), entry.path

    found = (each for each in bare.entries(revision) if each.is_plain and README.fullmatch(each.path))
    for entry in sorted((each for each in found if each.size <= LARGEST_FILE), key=place):
        if (text := as_text(next(iter(bare.blobs([entry.object_id]))))) is not None:
            return entry.path, text
    return None


def file_or_folder(bare: Bare, revision: str, path: str) -> tuple[str, bool]:
    """The text of a file, or the names in a folder and True.

    Raises:
        NoSuchFile: naming the files whose names are alike.
    """
    entries = [entry for entry in bare.entries(revision) if entry.is_plain]
    named = next((entry for entry in entries if entry.path == path), None)
    if named is not None:
        too_large(path, named.size)
        text = as_text(next(iter(bare.blobs([named.object_id]))))
        if text is None:
            raise NoSuchFile(f"{path} is no text file.")
        return text, False
    below = path + "/" if path else ""
    inside = [e.path for e in entries if e.path.startswith(below) and not is_secret(e.path)]
    if not inside:
        elsewhere = alike(path, [entry.path for entry in entries])
        raise NoSuchFile(f"{bare.address.name} has no file {path!r}.{elsewhere}")
    depth = below.count("/")
    names = dict.fromkeys("/".join(p.split("/")[: depth + 1]) + "/" * (p.count("/") > depth) for p in inside)
    return "\n".join(list(names)[:MOST_LISTED]), True


def alike(path: str, paths: Sequence[str]) -> str:
    """A hint at files of the same name elsewhere."""
    name = PurePosixPath(path).name.lower()
    same = [each for each in paths if PurePosixPath(each).name.lower() == name and not is_secret(each)][:5]
    return f" There is {', '.join(same)}." if same else ""


def too_large(path: str, size: int) -> None:
    if size > LARGEST_FILE:
        raise NoSuchFile(f"{path} has {size:,} bytes, too many to read; search in it instead.")


def as_text(content: bytes) -> str | None:
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def find(bare: Bare, revision: str, text: str) -> tuple[list[Line], tuple[str, ...]]:
    """Lines that hold the text, else lines of files that hold all its words; and paths that hold it."""
    asked = " ".join(text.split())
    words = asked.split()[:8]
    lines = bare.grep(revision, [asked], without=GENERATED)
    if not lines and len(words) > 1:
        lines = bare.grep(revision, words, without=GENERATED)
    names = (entry.path for entry in bare.entries(revision) if entry.is_plain and not is_secret(entry.path))
    paths = [path for path in names if all(word.lower() in path.lower() for word in words)][
        :MOST_LINES_A_FILE
    ]
    return telling(lines, words), tuple(paths)


def files_holding(bare: Bare, revision: str, text: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Path and text of each file."""
    lines = bare.grep(revision, [text], without=GENERATED)
    paths = {line.path for line in lines if line.path.endswith(suffixes) and not is_secret(line.path)}
    entries = [
        entry
        for entry in bare.entries(revision)
        if entry.path in paths and entry.is_plain and entry.size <= LARGEST_FILE
    ][:MOST_READ]
    texts = map(as_text, bare.blobs(entry.object_id for entry in entries))
    return [(entry.path, said) for entry, said in zip(entries, texts, strict=True) if said is not None]


def telling(lines: Sequence[Line], words: Sequence[str]) -> list[Line]:
    """The lines to show: those with most of the words first, code before tests, a few of each file."""

    def place(line: Line) -> tuple[int, bool, str, int]:
        lowered = line.text.lower()
        return (
            -sum(word.lower() in lowered for word in words),
            bool(TESTS.search(line.path)),
            line.path,
            line.number,
        )

    shown: list[Line] = []
    of_file: dict[str, int] = {}
    for line in sorted((each for each in lines if not is_secret(each.path)), key=place):
        of_file[line.path] = of_file.get(line.path, 0) + 1
        if of_file[line.path] <= MOST_LINES_A_FILE and len(shown) < MOST_LINES:
            shown.append(line)
    return shown
