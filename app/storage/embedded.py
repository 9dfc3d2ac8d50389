"""A real PostgreSQL server of our own for people who have none: one folder, no ports, no set-up.

The server listens on a Unix socket alone, in a folder only its user may enter, so it needs no password
and meets no other server. The address reads `postgresql://sre_agent@/sre_agent?host=/tmp/…&port=5432`,
which asyncpg, psycopg and both SQLAlchemy dialects understand.

The first process to start a home owns its server and stops it; others join. Ownership is a file lock, so
it ends with the process. So does the server: a shell waits at the end of a pipe for its owner to vanish.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from app.errors import AgentError
from app.storage.postgres_binaries import Binaries, PostgresMissing, find_binaries, readable_by

__all__ = ["Binaries", "EmbeddedPostgres", "PostgresFailed", "PostgresMissing", "find_binaries"]

USER = "sre_agent"
DATABASE = "sre_agent"
PORT = 5432
"""Part of the socket file's name; nothing listens on it."""
LONGEST_SOCKET_FOLDER = 80
"""Bytes. A socket's path may have 103 on macOS and 107 on Linux, and `/.s.PGSQL.5432.lock` is part of it."""
PATIENCE = 30.0
"""Seconds. After a kill -9 the last of the old server's processes may hold its memory for 13."""
STILL_LEAVING = ("still in use", "is still running", 'lock file "postmaster.pid" already exists')
LARGEST_LOG = 5 * 1024 * 1024

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "200",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


AFTER_US = """
read -r _
kill -INT "$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rmdir "$2" && exit
  sleep 0.5
done
"""
"""End the server and remove its socket folder, which is empty once the server is gone."""


class PostgresFailed(AgentError):
    """The embedded server could not be created, started or joined."""

    code = "postgres_failed"
    status = 503


@dataclass(frozen=True)
class Running:
    """What a live server wrote into its `postmaster.pid`."""

    pid: int
    sockets: Path


class EmbeddedPostgres:
    """The server of one home folder; `settings` are added to its configuration."""

    def __init__(
        self, home: Path, *, binaries: Binaries | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.home = home.expanduser().absolute()
        self.data = self.home / "postgres"
        self.log = self.home / "postgres.log"
        self.binaries = binaries
        self.settings = {**SETTINGS, **(settings or {})}
        self._lock: int | None = None
        self._running: Running | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None

    @property
    def owner(self) -> bool:
        """Whether `stop` ends the server, or only our use of it."""
        return self._lock is not None

    async def start(self) -> str:
        """Create the server's data if there are none, start it or join it; the application's address.

        Raises:
            PostgresMissing: there are no programs to run.
            PostgresFailed: with the server's own reason, or who is in the way.
        """
        if self._running is not None and self._running != await asyncio.to_thread(_running, self.data):
            await self.stop()  # it went without us: killed, or ended by its owner
        if self._running is None:
            try:
                self._running = await asyncio.to_thread(self._start)
            except PermissionError as error:
                await self.stop()
                raise PostgresFailed(
                    f"{error.filename} belongs to another user. Start as that user, or set SRE_AGENT_HOME."
                ) from error
            except BaseException:
                await self.stop()
                raise
        return await self.create_database(DATABASE)

    async def stop(self) -> None:
        """End the server if it is ours, else leave it to its owner; again is fine."""
        await asyncio.to_thread(self._stop)

    def url(self, database: str = DATABASE) -> str:
        """The address of a database of the running server."""
        if self._running is None:
            raise PostgresFailed("The embedded PostgreSQL is not running; start it first.")
        return f"postgresql://{USER}@/{database}?host={self._running.sockets}&port={PORT}"

    async def create_database(self, name: str, *, template: str | None = None) -> str:
        """The address of database `name`, created when it is not there; `template` is copied whole."""
        copied = f" TEMPLATE {_quoted(template)}" if template else ""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f"CREATE DATABASE {_quoted(name)}{copied}")
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            pass  # another process that starts at the same time was first
        finally:
            await connection.close()
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
        finally:
            await connection.close()

    # From here on everything blocks and runs in a thread.

    def _start(self) -> Running:
        self.home.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + PATIENCE
        while not self._take_lock():
            if running := _running(self.data):
                return running
            if time.monotonic() > deadline:
                raise PostgresFailed(
                    f"Another process holds {self.home}, and its PostgreSQL does not answer. Stop that "
                    f"process, or set SRE_AGENT_HOME to a folder of your own. The server's log is {self.log}."
                )
            time.sleep(0.05)
        running = _running(self.data) or self._launch_patiently()
        self._watch = self._watch_for_our_end(running)
        return running

    def _take_lock(self) -> bool:
        file = os.open(self.home / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        return True

    def _launch_patiently(self) -> Running:
        user = _server_user(self.data)
        binaries = self.binaries or find_binaries()
        if user is not None:
            binaries = readable_by(binaries, user)
        if not (self.data / "PG_VERSION").exists():
            self._create(binaries, user)
        self._check_version(binaries)
        _clear_after_a_kill(self.data)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._launch(binaries, user, deadline)
            except PostgresFailed as error:
                if time.monotonic() > deadline or not any(sign in str(error) for sign in STILL_LEAVING):
                    raise
            time.sleep(0.5)

    def _create(self, binaries: Binaries, user: pwd.struct_passwd | None) -> None:
        """Into a folder beside it, renamed when whole, so a cut start leaves nothing half made."""
        for leftover in self.home.glob("postgres.new-*"):
            shutil.rmtree(leftover)
        unfinished = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.home))
        if user is not None:
            os.chown(unfinished, user.pw_uid, user.pw_gid)
        # Same text everywhere: the machine's languages must not decide how the data sort.
        locale = ["--no-locale", "--encoding=UTF8"]
        if binaries.major() >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        fast = ["--no-sync"] if self.settings.get("fsync") == "off" else []
        made = subprocess.run(
            [
                *(binaries.program("initdb"), "-D", _as_seen_by(user, unfinished), "-U", USER),
                *("--auth-local=trust", "--auth-host=reject", "--no-instructions", *locale, *fast),
            ],
            capture_output=True,
            text=True,
            check=False,
            **_process_of(user, unfinished),
        )
        if made.returncode != 0:
            shutil.rmtree(unfinished)
            raise PostgresFailed(
                f"PostgreSQL from {binaries.origin} could not create its data in {self.home}: "
                f"{(made.stderr or made.stdout).strip()[-500:]}"
            )
        unfinished.rename(self.data)

    def _check_version(self, binaries: Binaries) -> None:
        written_by = int((self.data / "PG_VERSION").read_text())
        if written_by != (major := binaries.major()):
            raise PostgresFailed(
                f"The data in {self.data} are PostgreSQL {written_by}'s, and {binaries.origin} is {major}. "
                f"Set PG_BIN to the programs of {written_by}, or SRE_AGENT_HOME to another folder."
            )

    def _launch(self, binaries: Binaries, user: pwd.struct_passwd | None, deadline: float) -> Running:
        sockets = _socket_folder(user)
        options = {**self.settings, "unix_socket_directories": str(sockets)}
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.unlink()
        with self.log.open("ab") as log:
            begin = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                [binaries.program("postgres"), "-D", _as_seen_by(user, self.data)]
                + [part for name, value in options.items() for part in ("-c", f"{name}={value}")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **_process_of(user, self.data),
            )
        while process.poll() is None:
            running = _running(self.data)
            if running is not None and running.pid == process.pid:
                self._process = process
                return running
            if time.monotonic() > deadline + PATIENCE:
                process.kill()
            time.sleep(0.01)
        shutil.rmtree(sockets, ignore_errors=True)
        raise PostgresFailed(
            f"PostgreSQL from {binaries.origin} did not start: {_said_since(self.log, begin)} "
            f"The whole log is {self.log}."
        )

    def _watch_for_our_end(self, running: Running) -> subprocess.Popen[bytes]:
        """`read` returns when the last writer of the pipe is gone, which is us, however we went."""
        return subprocess.Popen(
            ["/bin/sh", "-c", AFTER_US, "sh", str(running.pid), str(running.sockets)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_process_of(_server_user(self.data), Path("/")),
        )

    def _stop(self) -> None:
        running, self._running = self._running, None
        if self._lock is None:
            return
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()
            self._watch = None
        if running is not None:
            self._end(running.pid)
            shutil.rmtree(running.sockets, ignore_errors=True)
        self._process = None
        os.close(self._lock)
        self._lock = None

    def _end(self, pid: int) -> None:
        """Fast shutdown (connections are cut, everything is written); after our patience, immediate."""
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if not self._alive(pid):
                return
            os.kill(pid, how)
            deadline = time.monotonic() + PATIENCE
            while self._alive(pid) and time.monotonic() < deadline:
                time.sleep(0.005)

    def _alive(self, pid: int) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return _is_postgres(pid)


def _running(data: Path) -> Running | None:
    """The server of this folder if it says it is ready, and answers.

    The lines of `postmaster.pid`: 1 process, 5 socket folder, 8 state (PostgreSQL's `pidfile.h`).
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    running = Running(int(lines[0]), Path(lines[4]))
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"{running.sockets}/.s.PGSQL.{PORT}")
        except OSError:
            return None
    return running


def _clear_after_a_kill(data: Path) -> None:
    """Remove what a killed server left: its socket folder, and a pid file whose number was given away.

    The file of a dead server stays: the next one needs it to see whether processes of the old still hold
    its memory. But a pid that is another program's now, as after a container was started anew, would keep
    the server from starting for ever.
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return
    if _is_postgres(pid := int(lines[0])):
        return
    if Path(f"/proc/{pid}").exists():
        (data / "postmaster.pid").unlink()
    if len(lines) > 4 and Path(lines[4]).name.startswith("sre-agent-"):
        shutil.rmtree(lines[4], ignore_errors=True)


def _is_postgres(pid: int) -> bool:
    """Whether a process lives and may be a server; where there is no /proc, any living one may."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    name, state = re.fullmatch(r"\d+ \((.*)\) (\S).*", said, re.DOTALL).groups()  # type: ignore[union-attr]
    return name == "postgres" and state != "Z"


def _server_user(data: Path) -> pwd.struct_passwd | None:
    """Who the server runs as, when not as ourselves: it refuses root, so the data's owner or `nobody`."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    return pwd.getpwnam("nobody")


def _process_of(user: pwd.struct_passwd | None, folder: Path) -> dict[str, Any]:
    """How a process of the server is started: in a session of its own, so Ctrl-C is ours to handle."""
    identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}  # no PGDATA, no other language in the log
    return {"cwd": folder, "env": environment, "start_new_session": True, "umask": 0o077, **identity}


def _as_seen_by(user: pwd.struct_passwd | None, data: Path) -> str:
    """The path of the process's own folder as its user can walk it.

    Above the data there may be folders closed to `nobody`, such as root's home. The working directory is
    entered before the user changes, and the kernel's link to it needs no walk.
    """
    return str(data) if user is None else "/proc/self/cwd"


def _socket_folder(user: pwd.struct_passwd | None) -> Path:
    """A folder with a short path that only the server's user may enter."""
    for place in (tempfile.gettempdir(), "/tmp"):
        if len(place) + len("/sre-agent-12345678") <= LONGEST_SOCKET_FOLDER and _open(Path(place)):
            break
    folder = Path(tempfile.mkdtemp(prefix="sre-agent-", dir=place))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _open(place: Path) -> bool:
    place = place.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (place, *place.parents))


def _said_since(log: Path, begin: int) -> str:
    """The reasons in the log: its errors and hints, or the end of it."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    reasons = [line for line in lines if re.search(r"\b(FATAL|ERROR|PANIC|HINT|DETAIL)\b|error while", line)]
    return " ".join(reasons or lines[-3:])[:800] or "it said nothing."


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
