"""A bare git repository on disk: fetched one revision deep, read without a work tree.

Everything here blocks and belongs in a thread. Nothing of the machine's git configuration takes part, no
prompt can appear, and credentials reach git through its environment only.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.context.addresses import Address, AddressRefused
from app.context.reachable import pinned
from app.errors import AgentError
from app.settings import inherited

CURRENT = "refs/mirror/current"
MOST_OUTPUT = 1_000_000
NO_GIT = "git is not installed on this machine; the repos it mirrors need it."
REVISION = re.compile(r"^[0-9a-f]{7,64}$")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""The whole id of a commit."""
QUIET = {
    "gc.auto": "0",
    "maintenance.auto": "false",
    "core.hooksPath": "/dev/null",
    "safe.directory": "*",
    "protocol.version": "2",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "20",
    "advice.detachedHead": "false",
}
"""Objects are never collected: sessions are pinned to revisions that nothing else refers to any more."""


class GitFailed(AgentError):
    """A git command failed; the sentence ends with git's own reason."""

    code = "git_failed"


class RefMissing(GitFailed):
    """The repository answers, but has no such branch or tag."""

    code = "git_ref_missing"


@dataclass(frozen=True)
class Entry:
    """A file of a revision; `is_plain` is False for symbolic links and submodules."""

    path: str
    object_id: str
    size: int
    is_plain: bool


@dataclass(frozen=True)
class Line:
    """A line of a file of a revision, 1-based."""

    path: str
    number: int
    text: str


Start = Callable[[Sequence[str], dict[str, str]], AbstractContextManager["subprocess.Popen[bytes]"]]
"""Starts a command with exactly that environment, in a process group of its own, with three pipes."""


def directly(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd="/", start_new_session=True
        )
    except FileNotFoundError as error:
        raise GitFailed(NO_GIT) from error


@contextmanager
def through_gitpython(
    command: Sequence[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """What brings something new is begun by the library, which is loaded by the first of it: that takes 3 MB
    and a tenth of a second, and a process that starts where the copies are current needs none of it."""
    try:
        import git  # noqa: PLC0415 — which fails where there is no git
    except ImportError as error:
        raise GitFailed(NO_GIT) from error
    # It adds to the environment we have; git's own variables of ours lead to other repositories.
    without = [part for name in inherited() if name not in environment for part in ("-u", name)]
    try:
        started = git.Git("/").execute(
            [*(["env", *without] if without else []), *command],
            istream=subprocess.PIPE,
            as_process=True,
            env=environment,
            start_new_session=True,
        )
    except git.exc.GitCommandNotFound as error:
        raise GitFailed(NO_GIT) from error
    assert started.proc is not None
    with started.proc as process:  # it is ended with `started`
        yield process


@dataclass(frozen=True)
class Bare:
    """The repository in `folder`, a copy of the one at `address`."""

    folder: Path
    address: Address
    seconds: float = 120

    def remote_revision(self, ref: str) -> tuple[str, str]:
        """The revision and the full name of a branch, a tag or HEAD, as the remote has it now.

        Raises:
            RefMissing: the remote has no such ref.
            GitFailed: the remote cannot be reached, or refuses.
        """
        names = (
            ["HEAD"] if ref == "HEAD" else [f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}"]
        )
        listed = self._run("ls-remote", "--", self.address.url, *names, anywhere=True, remote=True).decode()
        found = {name: revision for revision, name in (line.split("\t") for line in listed.splitlines())}
        for name, peeled in ((names[0], names[0]), (names[-2:][0], names[-1])):
            if name in found:
                return found.get(peeled, found[name]), name
        raise RefMissing(f"The repo {self.address.name} has no branch or tag named {ref!r}.")

    def fetch(self, full_name: str) -> None:
        """Bring the newest revision of a ref, without its past; history that was rewritten is no obstacle."""
        self._fetch(f"+{full_name}:{CURRENT}")

    def fetch_commit(self, commit: str) -> None:
        """Bring one commit by its whole id, on a branch (still) or not; the current revision stays.

        A server of git's protocol 2 gives any commit it has:
        https://git-scm.com/docs/protocol-v2#_fetch
        """
        self._fetch(commit)

    def _fetch(self, wanted: str) -> None:
        if not (self.folder / "HEAD").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._run("init", "--quiet", "--bare", "--", str(self.folder), anywhere=True)
        self._run(
            *("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--force"),
            *("--", self.address.url, wanted),
            remote=True,
            start=through_gitpython,
        )

    def revision(self, name: str = CURRENT) -> str | None:
        """The full revision of a ref or of an abbreviated revision, None when it is not here."""
        if name != CURRENT and not REVISION.match(name):
            return None
        try:
            return (
                self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip() or None
            )
        except GitFailed:
            return None

    def entries(self, revision: str) -> Iterator[Entry]:
        """All files of a revision, in path order."""
        listed = self._run("ls-tree", "-r", "-z", "--long", "--full-tree", revision)
        for line in listed.split(b"\0"):
            if line:
                about, _, path = line.partition(b"\t")
                mode, kind, object_id, size = about.decode().split()
                plain = kind == "blob" and mode != "120000"
                name = path.decode("utf-8", "replace")
                yield Entry(name, object_id, int(size) if size.isdigit() else 0, plain)

    def blobs(self, object_ids: Iterable[str]) -> Iterator[bytes]:
        """The contents of files, in the order asked for.

        Raises:
            GitFailed: one of them is not in the repository, which is then broken.
        """
        asked = list(object_ids)
        output = self._run("cat-file", "--batch", stdin="\n".join([*asked, ""]).encode())
        at = 0
        for object_id in asked:
            end = output.index(b"\n", at)
            header = output[at:end].split()
            if len(header) != 3:
                raise GitFailed(f"The copy of {self.address.name} is broken: object {object_id} is missing.")
            size = int(header[2])
            yield output[end + 1 : end + 1 + size]
            at = end + 1 + size + 1

    def grep(self, revision: str, words: Sequence[str], *, without: Sequence[str] = ()) -> list[Line]:
        """The lines that hold one of `words`, in files that hold all of them; case does not matter.

        Words are taken literally. `without` are pathspecs of files to leave out. At most `MOST_OUTPUT` bytes
        of matches are read.
        """
        patterns = [part for word in words for part in ("--or", "-e", word)][1:]
        options = ("-n", "-I", "-i", "-F", "--null", "--full-name", "--no-color", "--all-match")
        excluded = [f":(exclude,icase,glob){each}" for each in without]
        output = self._run_briefly("grep", *options, *patterns, revision, "--", ".", *excluded)
        found: list[Line] = []
        for line in output.split(b"\n")[:-1]:
            fields = line.split(b"\0", 2)
            if len(fields) == 3 and fields[1].isdigit():
                path = fields[0].decode("utf-8", "replace").removeprefix(f"{revision}:")
                found.append(Line(path, int(fields[1]), fields[2].decode("utf-8", "replace")))
        return found

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(
        self,
        *command: str,
        stdin: bytes = b"",
        anywhere: bool = False,
        remote: bool = False,
        start: Start = directly,
    ) -> bytes:
        """Run git here, or `anywhere` for commands that need no repository; `remote` for those that ask."""
        pin = self._pin() if remote else None
        with self._started(command, anywhere=anywhere, pin=pin, start=start) as process:
            try:
                output, errors = process.communicate(stdin, timeout=self.seconds)
            except subprocess.TimeoutExpired as error:
                raise GitFailed(
                    f"git {command[0]} of {self.address.name} did not end in {self.seconds:g} s."
                ) from error
        if process.returncode != 0:
            raise GitFailed(f"git {command[0]} of {self.address.name} failed: {reason(errors)}")
        return output

    def _run_briefly(self, *command: str) -> bytes:
        """Run git here and stop it when it has said `MOST_OUTPUT` bytes; nothing found is no failure."""
        with self._started(command) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            # Nobody reads what it complains of, and a full pipe would hold it up.
            process.stderr.close()
            timer = threading.Timer(self.seconds, end_group, (process.pid,))
            timer.start()
            try:
                return process.stdout.read(MOST_OUTPUT)
            finally:
                timer.cancel()

    def _pin(self) -> str | None:
        """Where the remote is, when that has to be looked at first."""
        if not self.address.others:
            return None
        try:
            return pinned(self.address)
        except AddressRefused as error:
            raise GitFailed(error.sentence) from error

    @contextmanager
    def _started(
        self,
        command: Sequence[str],
        *,
        anywhere: bool = False,
        pin: str | None = None,
        start: Start = directly,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Git in a process group of its own, of which nothing is left afterwards: a transfer is done by
        children of git, which outlive it."""
        place = [] if anywhere else [f"--git-dir={self.folder}"]
        with start(["git", *place, *command], environment(self.address, pin)) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    end_group(process.pid)
                with suppress(BrokenPipeError):
                    process.stdin.close()  # type: ignore[union-attr]


def end_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def environment(address: Address, pin: str | None = None) -> dict[str, str]:
    """Git's whole environment: quiet, alone, and with the credentials of this address only; `pin` says where
    its host is."""
    config = dict(QUIET)
    if address.authorization is not None and address.origin is not None:
        header = f"Authorization: {address.authorization.get_secret_value()}"
        config[f"http.{address.origin}.extraHeader"] = header
    if address.authorization is not None or address.others:
        # Git asks where it was redirected to with the same header, whichever host that is, and nobody has
        # looked where that one is.
        config["http.followRedirects"] = "false"
    if pin:
        config["http.curloptResolve"] = pin
    pairs = list(config.items())
    numbered = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(pairs)}
    numbered |= {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(pairs)}
    return {
        **without_git(inherited()),
        **numbered,
        "GIT_CONFIG_COUNT": str(len(pairs)),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new",
        "LC_ALL": "C",
    }


def without_git(inherited: dict[str, str]) -> dict[str, str]:
    """An environment without git's own variables: inside a git hook they point at another repository."""
    kept = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_EXEC_PATH", "GIT_PROXY_SSL_CAINFO")
    return {k: v for k, v in inherited.items() if not k.startswith("GIT_") or k in kept}


def reason(stderr: bytes) -> str:
    """The first thing git complained of, which names the cause; what follows are hints for people."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return telling[0][:300] if telling else "it gave no reason"
