"""A real PostgreSQL for every test: one server a run, one fresh database a test.

`DATABASE_URL` names the server; without it a container is started where a docker engine answers, and
without that the embedded server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.settings import Settings
from app.standing import STANDINGS
from app.storage.embedded import EmbeddedPostgres, find_binaries
from app.storage.engine import create_engine
from app.storage.migrate import upgrade

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

UNSAFE_AND_FAST = {
    **{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
    # Nobody restores from it, and with the least of it a copied database is not written into it.
    **{"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "128MB"},
}


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that is run within a test sets up the log of its process, and its level."""
    ours = logging.getLogger("app")
    level = ours.level
    yield
    structlog.reset_defaults()
    ours.setLevel(level)


SHARED = pytest.StashKey[ExitStack]()
SHARED_URL = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database on the run's server, for creating others."""
    if shared := getattr(request.config, "workerinput", {}).get("postgres_url"):
        yield shared
        return
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
async def migrated_template(postgres_url: str) -> AsyncIterator[str]:
    """The name of a database that has our schema and no rows."""
    name = f"template_{secrets.token_hex(4)}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    await upgrade(address(postgres_url, name))
    yield name
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres_url: str, migrated_template: str) -> AsyncIterator[str]:
    """The address of a database of this test alone, with our schema and no rows."""
    name = f"test_{secrets.token_hex(6)}"
    await execute(postgres_url, copy_of(migrated_template, name))
    yield address(postgres_url, name)
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "postgres_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


@pytest.fixture(autouse=True)
def nothing_said_of_what_a_process_depends_on() -> Iterator[None]:
    """What one test's sources answered is no news of the next one's."""
    yield
    STANDINGS.of.clear()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


def copy_of(template: str, name: str) -> str:
    """The statement that creates a database of another's files, a third of the work of copying its pages."""
    return f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def address(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


@contextmanager
def postgres_server() -> Iterator[str]:
    storage = Settings.load(env_file=None).storage
    if storage.database_url:
        yield storage.database_url.get_secret_value()
    elif docker_answers():
        from testcontainers.community.postgres import PostgresContainer

        with PostgresContainer("postgres:18-alpine", driver=None) as container:
            yield container.get_connection_url()
    else:
        home = folder_of_this_run(in_memory())
        server = EmbeddedPostgres(home, binaries=find_binaries(storage.pg_bin), settings=UNSAFE_AND_FAST)
        try:
            yield asyncio.run(server.start())
        finally:
            asyncio.run(server.stop())
            shutil.rmtree(home)


def in_memory() -> Path | None:
    """A folder in memory with room for what tests write, where there is one: a database is 600 files, and
    creating them there takes 30 ms instead of 300. Programs must be allowed to run from it as well."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return None
    return memory if shutil.disk_usage(memory).free > 4 * 1024**3 else None


def folder_of_this_run(where: Path | None) -> Path:
    """A new folder. In memory a run that was killed must not keep what it had: the next one removes it."""
    for left in where.glob("sre-agent-tests-*-*") if where else ():
        owner = left.name.split("-")[3]
        if not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"sre-agent-tests-{os.getpid()}-", dir=where))


def docker_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=2)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except DockerException:
        return False
    finally:
        client.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A run over several processes shares one server; the controller, which outlives them, owns it."""
    stash = node.config.stash
    if SHARED not in stash:
        stash[SHARED] = ExitStack()
        stash[SHARED_URL] = stash[SHARED].enter_context(postgres_server())
    node.workerinput["postgres_url"] = stash[SHARED_URL]


def pytest_configure(config: pytest.Config) -> None:
    """Where a run over several processes writes its files. One in one process leaves those of what failed."""
    memory = in_memory() if getattr(config.option, "numprocesses", None) else None
    if memory is None:
        return
    place = folder_of_this_run(memory)
    place.chmod(0o1777)
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)
    config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))


def pytest_unconfigure(config: pytest.Config) -> None:
    if SHARED in config.stash:
        config.stash[SHARED].close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--refuse-skips", action="store_true", help="a skipped test is a failed one")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything should be installed, what is missing must not look like success."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--refuse-skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and skips are refused here: {report.longrepr}"
    return report
