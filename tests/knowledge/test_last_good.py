"""A broken head and a new process: it serves what the others serve, from the remote if need be."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.mirrors import Mirror
from app.knowledge.history import StoredHistory
from app.knowledge.keeping import Keeper
from app.knowledge.models import Fault, Knowledge
from app.knowledge.packaged import packaged_path
from app.knowledge.repository import record
from app.storage.engine import begin
from app.storage.tree import read_folder
from tests.context.origin import Origin, SmartHttp, smart_http

BROKEN = {"artifacts/slo-template.yaml": "name: [\n"}
PACKAGED = read_folder(packaged_path()).revision

Replica = Callable[[str], Keeper]


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    origin = Origin(tmp_path / "git" / "acme" / "knowledge")
    shutil.copytree(packaged_path(), origin.path, dirs_exist_ok=True)
    origin.commit({"system-prompt.md": "Be brief.\n"})
    return origin


@pytest.fixture
def server(origin: Origin, tmp_path: Path) -> Iterator[SmartHttp]:
    with smart_http(tmp_path / "git") as server:
        yield server


@pytest.fixture(params=["file", "http"])
def replica(
    request: pytest.FixtureRequest, origin: Origin, server: SmartHttp, tmp_path: Path, engine: AsyncEngine
) -> Replica:
    """Makes the keeper of a process whose home has a name; they share the database alone."""
    url = origin.url if request.param == "file" else f"{server.url}/acme/knowledge"

    async def on_loaded(loaded: Knowledge, age: float) -> None:
        async with begin(engine) as connection:
            await record(connection, loaded.revision, accepted=True, commit=loaded.commit, age=age)

    async def on_refused(revision: str, faults: tuple[Fault, ...], age: float) -> None:
        async with begin(engine) as connection:
            await record(connection, revision, accepted=False, faults=faults, age=age)

    def make(home: str) -> Keeper:
        mirror = Mirror(url, "main", tmp_path / home / "knowledge")
        history = StoredHistory(engine)
        return Keeper(mirror, on_loaded=on_loaded, on_refused=on_refused, history=history)

    return make


async def test_after_a_restart_behind_a_broken_head_the_last_good_revision_serves(
    origin: Origin, replica: Replica
) -> None:
    good = await replica("home").refresh()
    origin.commit(BROKEN)
    await replica("home").refresh()

    restarted = replica("home")

    assert (await restarted.refresh()).revision == good.revision
    assert restarted.current.notice is None
    assert restarted.refusal is not None


async def test_a_new_replica_fetches_what_the_others_serve(origin: Origin, replica: Replica) -> None:
    first = replica("one")
    good = await first.refresh()
    for text in ("name: [\n", "name: {\n"):
        origin.commit({"artifacts/slo-template.yaml": text})
        await first.refresh()

    new = await replica("two").refresh()

    assert (new.revision, new.system_prompt.text) == (good.revision, "Be brief.\n")
    assert new.revision == first.current.revision


async def test_a_good_revision_that_no_branch_holds_any_more_is_fetched_too(
    origin: Origin, replica: Replica
) -> None:
    good = await replica("one").refresh()
    (origin.path / "artifacts/slo-template.yaml").write_text("name: [\n")
    origin.git("commit", "--quiet", "--all", "--amend", "-m", "Rewritten")

    assert (await replica("two").refresh()).revision == good.revision


async def test_a_replica_that_never_saw_it_reads_the_revision_a_session_is_pinned_to(
    origin: Origin, replica: Replica
) -> None:
    pinned = (await replica("one").refresh()).revision
    origin.commit({"system-prompt.md": "Be long.\n"})
    new = replica("two")
    await new.refresh()

    knowledge = await new.at(pinned)

    assert (knowledge.revision, knowledge.notice) == (pinned, None)
    assert knowledge.system_prompt.text == "Be brief.\n"


async def test_without_a_good_revision_before_it_the_packaged_knowledge_serves_and_says_so(
    origin: Origin, replica: Replica
) -> None:
    bad = origin.commit(BROKEN)

    serving = await replica("one").refresh()

    assert serving.revision == PACKAGED
    assert serving.notice is not None
    assert bad[:12] in serving.notice
    assert "comes with the program" in serving.notice


async def test_what_stood_in_gives_way_to_the_last_good_revision_once_that_can_be_had(
    origin: Origin, replica: Replica, tmp_path: Path
) -> None:
    good = await replica("one").refresh()
    origin.commit(BROKEN)
    new, away = replica("two"), tmp_path / "away"
    origin.path.rename(away)
    if (await new.refresh()).revision != PACKAGED:
        pytest.fail("nothing can be fetched yet")
    away.rename(origin.path)

    assert (await new.refresh()).revision == good.revision
    assert new.current.notice is None
    assert (await replica("three").refresh()).revision == good.revision
