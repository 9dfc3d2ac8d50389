"""Rollouts: what Argo CD deployed and when, from the histories of its applications.

Source of the shapes: argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/ and the Application resource,
argo-cd.readthedocs.io/en/stable/user-guide/application-specification/.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from app.settings import Endpoint
from app.signals.models import Change
from app.sources.failures import UNFAMILIAR, SourceFailed
from app.sources.http import ReadOnlyHttp
from app.sources.parts import Part, moment, part, parts, told, values

ALLOWED = (
    "/api/v1/applications",
    "/api/v1/applications/*/revisions/*/metadata",
    "/api/v1/applicationsets",
)
FIELDS = ",".join(
    f"items.{field}"
    for field in (
        "metadata.name",
        "metadata.namespace",
        "metadata.labels",
        "metadata.ownerReferences",
        "spec.project",
        "status.history",
        "status.health",
        "status.sync",
        "status.summary",
        "status.operationState.phase",
        "status.operationState.message",
        "status.operationState.finishedAt",
        "status.operationState.syncResult.revision",
        "status.operationState.syncResult.revisions",
    )
)
"""Of each application; manifests and the resource tree, most of an answer's bytes, stay away."""
LONGEST_HOURS = 168
SERVICE_LABELS = ("app.kubernetes.io/name", "app", "service", "app.kubernetes.io/instance")
MOST_DESCRIBED = 12
"""Rollouts whose commit is asked for, newest first; each is one request."""
MOST_KEPT = 1000
"""Commits whose words are kept: those of a commit never change."""
REVISION = re.compile(r"[A-Za-z0-9._-]{1,100}")
COMMIT = re.compile(r"[0-9a-f]{40}")
FAILED = ("Failed", "Error")

Known = Callable[[str], str | None]


@dataclass(frozen=True)
class Rollout:
    """A change with what it replaced (`previous`, a revision) and the address of the repo it came from."""

    change: Change
    application: str
    previous: str | None = None
    repo: str | None = None


@dataclass(frozen=True)
class ApplicationSet:
    """A set that makes applications; `problems` are its conditions that say something went wrong."""

    name: str
    applications: tuple[str, ...]
    problems: tuple[str, ...]


class ArgoCd:
    """Reads one Argo CD. `known` gives the catalog's name for a name or alias, None when it has none."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        known: Known = lambda name: None,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = ReadOnlyHttp(
            endpoint, ALLOWED, source="argocd", timeout_seconds=timeout_seconds, clock=clock
        )
        self._known = known
        self._commits: dict[tuple[str, str], Part] = {}

    async def aclose(self) -> None:
        await self.http.aclose()

    async def deploys(self, start: float, end: float, service: str | None = None) -> tuple[Change, ...]:
        """The rollouts between two times (seconds since the epoch), oldest first; all services' or one's.

        At most the last 168 hours before `end` are looked at.

        Raises:
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        return tuple(each.change for each in await self.rollouts(start, end, service))

    async def rollouts(self, start: float, end: float, service: str | None = None) -> tuple[Rollout, ...]:
        """As `deploys`, with what each replaced."""
        answer = await self.http.json("/api/v1/applications", {"fields": FIELDS})
        start = max(start, end - LONGEST_HOURS * 3600)
        found = [
            rollout
            for application in _items(answer)
            if (owner := self._service(application, service)) is not None
            for rollout in self._rollouts(application, owner)
            if start <= rollout.change.at <= end
        ]
        return await self._described(sorted(found, key=lambda each: (each.change.at, each.application)))

    async def sets(self) -> tuple[ApplicationSet, ...]:
        """The application sets.

        Raises:
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        answer = await self.http.json("/api/v1/applicationsets")
        return tuple(map(_set, _items(answer)))

    def link(self, application: str, namespace: str | None = None) -> str:
        """The page of an application."""
        place = f"{namespace}/{application}" if namespace else application
        return self.http.page(f"/applications/{place}")

    def _service(self, application: Part, wanted: str | None) -> str | None:
        """Whose application it is; None when another service is wanted."""
        names = list(_names(application))
        owner = next(filter(None, map(self._known, names)), None)
        if wanted is None:
            return owner or (names[0] if names else None)
        canonical = self._known(wanted) or wanted
        # Where the catalog knows the owner (`checkout-worker`), a shorter name is another service's.
        fits = owner == canonical if owner else wanted.casefold() in map(str.casefold, names)
        return canonical if fits else None

    def _rollouts(self, application: Part, service: str) -> Iterator[Rollout]:
        metadata, status = part(application, "metadata"), part(application, "status")
        name = told(metadata, "name")
        link = self.link(name, told(metadata, "namespace"))
        history = parts(status, "history")
        images = [str(each) for each in values(part(status, "summary"), "images")]
        for place, entry in enumerate(history):
            is_last = place == len(history) - 1
            revision, at = _revision(entry), moment(entry.get("deployedAt"))
            if at is None:
                continue
            change = Change(
                kind="deploy",
                id=revision or f"{name}#{entry.get('id', place)}",
                at=at,
                title=_title(name, revision, _images(entry) or (images if is_last else [])),
                service=service,
                author=_initiator(entry),
                link=link,
            )
            previous = _revision(history[place - 1]) if place else None
            yield Rollout(change, name, previous if previous != revision else None, _repo(entry))
        if failed := _failed(status, name, service, link):
            yield Rollout(failed, name)

    async def _described(self, found: list[Rollout]) -> tuple[Rollout, ...]:
        """With the commit's message and author, where Argo CD can tell them."""
        newest = [each for each in found if COMMIT.fullmatch(each.change.id)][-MOST_DESCRIBED:]
        commits = dict(zip(map(id, newest), await asyncio.gather(*map(self._commit, newest)), strict=True))
        return tuple(_with_commit(each, commits.get(id(each))) for each in found)

    async def _commit(self, rollout: Rollout) -> Part:
        key = (rollout.application, rollout.change.id)
        if (known := self._commits.get(key)) is not None:
            return known
        try:
            answer = await self.http.json(f"/api/v1/applications/{key[0]}/revisions/{key[1]}/metadata")
        except SourceFailed:
            # A repo that Argo CD cannot reach now takes the words from a rollout, not the rollout.
            return {}
        if not isinstance(answer, Mapping):
            return {}
        if len(self._commits) >= MOST_KEPT:
            self._commits.pop(next(iter(self._commits)))
        message = str(answer.get("message") or "").strip().split("\n")[0][:200]
        self._commits[key] = {"message": message, "author": told(answer, "author")}
        return self._commits[key]


def _with_commit(rollout: Rollout, commit: Part | None) -> Rollout:
    if not commit:
        return rollout
    message = told(commit, "message")
    author = re.sub(r"\s*<[^>]*>", "", told(commit, "author")) or rollout.change.author
    title = f"{rollout.change.title}: {message}" if message else rollout.change.title
    return replace(rollout, change=replace(rollout.change, title=title, author=author))


def _failed(status: Part, name: str, service: str, link: str) -> Change | None:
    """A rollout that was tried last and failed: it is in no history, and may have changed half of it."""
    state = part(status, "operationState")
    at = moment(state.get("finishedAt"))
    if state.get("phase") not in FAILED or at is None:
        return None
    revision = _revision(part(state, "syncResult"))
    why = told(state, "message", 200)
    title = (
        f"{name}: a rollout{f' of {revision[:8]}' if revision else ''} failed: {why or told(state, 'phase')}"
    )
    return Change("deploy", revision or f"{name}#failed", at, title, service=service, link=link)


def _names(application: Part) -> Iterator[str]:
    """What an application may be called in the catalog: its labels, its name, its name without the
    environment or team before or after it (`checkout-prod`, `eu-checkout`)."""
    metadata = part(application, "metadata")
    labels = part(metadata, "labels")
    name = told(metadata, "name")
    labelled = [told(labels, label) for label in SERVICE_LABELS]
    head, _, _ = name.rpartition("-")
    _, _, tail = name.partition("-")
    return filter(None, dict.fromkeys(chain(labelled, (name, head, tail))))


def _title(name: str, revision: str, images: Iterable[str]) -> str:
    # `checkout checkout:1.4.2` says one word twice.
    told_images = (image.rsplit("/", 1)[-1].removeprefix(f"{name}:") for image in images)
    versions = ", ".join(dict.fromkeys(told_images))
    shown = revision[:8] if COMMIT.fullmatch(revision) else revision
    return f"{name} {versions[:120] or shown}" + (f" ({shown})" if versions and shown else "")


def _images(entry: Part) -> list[str]:
    """The images a history entry sets, by kustomize or as helm parameters."""
    found = []
    for source in _sources(entry):
        # kustomize writes `old=new`, or the new one alone.
        images = map(str, values(part(source, "kustomize"), "images"))
        found += [image.partition("=")[2] or image for image in images]
        parameters = parts(part(source, "helm"), "parameters")
        found += [told(each, "value") for each in parameters if told(each, "name").endswith("image.tag")]
    return found


def _revision(entry: Part) -> str:
    """Of the first source, when there are several."""
    several = values(entry, "revisions")
    revision = told(entry, "revision") or (str(several[0]) if several else "")
    return revision if REVISION.fullmatch(revision) else ""


def _repo(entry: Part) -> str | None:
    return next(filter(None, (told(each, "repoURL") for each in _sources(entry))), None)


def _sources(entry: Part) -> list[Part]:
    return parts(entry, "sources") or [part(entry, "source")]


def _initiator(entry: Part) -> str | None:
    by = part(entry, "initiatedBy")
    return told(by, "username") or ("automated" if by.get("automated") else None)


def _set(item: Part) -> ApplicationSet:
    status = part(item, "status")
    return ApplicationSet(
        name=told(part(item, "metadata"), "name"),
        applications=tuple(told(each, "name") for each in parts(status, "resources")),
        problems=tuple(
            told(each, "message") or told(each, "reason")
            for each in parts(status, "conditions")
            if each.get("type") == "ErrorOccurred" and each.get("status") == "True"
        ),
    )


def _items(answer: Any) -> list[Part]:
    """`items` is null when there are none."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("items") or [], list):
        raise SourceFailed("argocd", UNFAMILIAR)
    return parts(answer, "items")
