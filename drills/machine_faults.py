"""A machine whose clock is wrong or whose disk is full."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from drills.drill import Drill
from drills.ground import Ground, NotRun
from drills.load import Load

SKEW_SECONDS = 600
FAKETIME = "faketime/libfaketimeMT.so.1"
LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
HOME_MB = 32
DATABASE_MB = 400
PIECE = b"\0" * 65536


async def clocks_differ(here: Ground, load: Load) -> None:
    """One worker is ten minutes ahead, one ten minutes behind; the door and Postgres are right."""
    library = _faketime()
    await here.start("serve")
    for sign in "+-":
        skewed = {
            "LD_PRELOAD": str(library),
            "FAKETIME": f"{sign}{SKEW_SECONDS}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        worker = await here.start("worker", **skewed)
        here.must_be(abs(worker.ready_seconds) > SKEW_SECONDS / 2, "libfaketime did not change the clock")
    await here.slack.connected()
    async with load:
        await asyncio.sleep(here.seconds)


def _faketime() -> Path:
    """Debian's package faketime, or wherever LD_LIBRARY_PATH says."""
    places = [each for each in os.environ.get("LD_LIBRARY_PATH", "").split(":") if each]
    for library in _libraries(places):
        if library.exists():
            return library
    raise NotRun("libfaketime is not installed (Debian: apt-get install faketime)")


def _libraries(places: list[str]) -> Iterator[Path]:
    for place in places:
        yield Path(place) / Path(FAKETIME).name
    for folder in LIBRARIES:
        yield Path(folder) / FAKETIME
        yield from Path(folder).glob(f"*/{FAKETIME}")


async def home_full(here: Ground, load: Load) -> None:
    """Where the program keeps its copies of repos and its temporary files there is no room."""
    async with small_disk(here.folder / "small", HOME_MB) as disk:
        on_it = {"SRE_AGENT_HOME": str(disk / "home"), "TMPDIR": str(disk)}
        try:
            await here.start("serve", **on_it)
            await here.start("worker", **on_it)
            await here.slack.connected()
            async with load:
                await asyncio.sleep(3)
                filler = await asyncio.to_thread(fill, disk)
                late = await here.begin("worker", **{**on_it, "SRE_AGENT_HOME": str(disk / "late")})
                await asyncio.sleep(here.seconds)
                filler.unlink()
                await late.kill()
                await asyncio.sleep(3)
            await load.over()
        finally:
            await here.end()


async def database_full(here: Ground, load: Load) -> None:
    """Postgres has no room: it refuses to write, and may end; it is started again when there is room."""
    await here.start("serve")
    await here.start("worker")
    await here.slack.connected()
    async with load:
        await asyncio.sleep(3)
        filler = await asyncio.to_thread(fill, here.server.postgres.home.parent)
        here.must_be(not await _takes(here), "Postgres had room left")
        await asyncio.sleep(here.seconds)
        filler.unlink()
        await here.server.start()
        await asyncio.sleep(3)


async def _takes(here: Ground) -> bool:
    """Whether Postgres still writes a few megabytes."""
    try:
        await here.rows("CREATE TABLE room AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    except (DBAPIError, OSError):
        return False
    return True


@asynccontextmanager
async def small_disk(place: Path, megabytes: int) -> AsyncIterator[Path]:
    """A disk in memory of that size.

    Raises:
        NotRun: where mounting is refused.
    """
    await asyncio.to_thread(place.mkdir, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "drill", str(place)]
    try:
        said = await asyncio.to_thread(subprocess.run, mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotRun("there is no mount(8) here") from error
    if said.returncode:
        raise NotRun(f"a disk in memory cannot be mounted: {said.stderr.strip()}")
    try:
        yield place
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(place)], check=False)


def fill(disk: Path) -> Path:
    """Write until there is no room; what was written."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as out:
        while True:
            out.write(PIECE)
    return filler


DRILLS = (
    Drill("clock", "one worker's clock is ten minutes ahead, the other's behind", clocks_differ, True),
    Drill("disk-home", "the disk with mirrors and temporary files is full", home_full, True),
    Drill(
        "disk-database",
        "the disk of Postgres is full",
        database_full,
        True,
        disk=lambda place: small_disk(place, DATABASE_MB),
    ),
)
