"""Hot reload: what serves after a good merge, a broken one, an outage and a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.knowledge.keeping import LARGE, Keeper, NothingLoaded
from app.knowledge.loading import KnowledgeBroken
from app.knowledge.packaged import packaged_path
from app.storage.tree import read_folder
from tests.knowledge.conftest import Listener
from tests.knowledge.sources import Folder, GitRepo

BROKEN = ("artifacts/slo-template.yaml", "name: [\n")
PROMPT = "system-prompt.md"


def keeper_of(source: GitRepo | Folder, listener: Listener, **options: object) -> Keeper:
    return Keeper(source, on_loaded=listener.on_loaded, on_refused=listener.on_refused, **options)  # type: ignore[arg-type]


async def test_before_the_first_refresh_there_is_nothing_to_serve(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)

    assert not keeper.is_loaded
    with pytest.raises(NothingLoaded):
        _ = keeper.current


async def test_a_merged_change_is_in_force_at_the_next_refresh(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)
    first = await keeper.refresh()
    revision = repo.commit(PROMPT, "Answer in one sentence.\n")

    second = await keeper.refresh()

    assert (second.revision, second.system_prompt.text) == (revision, "Answer in one sentence.\n")
    assert listener.loaded == [first.revision, revision]


async def test_a_poll_without_a_change_tells_nobody(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)
    for _ in range(3):
        await keeper.refresh()

    assert len(listener.loaded) == 1


async def test_a_broken_revision_is_refused_once_and_the_last_good_one_serves(
    repo: GitRepo, listener: Listener
) -> None:
    keeper = keeper_of(repo, listener)
    good = await keeper.refresh()
    bad = repo.commit(*BROKEN)

    with capture_logs() as logs:
        for _ in range(3):
            assert (await keeper.refresh()).revision == good.revision

    ((revision, faults),) = listener.refused
    assert revision == bad
    assert str(faults[0]).startswith("artifacts/slo-template.yaml:1: error: is not valid YAML")
    assert keeper.refusal is not None
    assert keeper.refusal.revision == bad
    (line,) = [entry for entry in logs if entry["event"] == "knowledge_refused"]
    assert (line["revision"], line["in_force"]) == (bad, good.revision)
    assert listener.loaded == [good.revision]


async def test_the_same_broken_revision_that_comes_back_is_told_again_and_so_is_the_way_back(
    repo: GitRepo, listener: Listener
) -> None:
    keeper = keeper_of(repo, listener)
    good = (await keeper.refresh()).revision
    bad = repo.commit(*BROKEN)
    for head in (bad, good, bad, good):
        repo.output("reset", "--hard", "--quiet", head)
        for _ in range(2):
            assert (await keeper.refresh()).revision == good

    assert [revision for revision, _ in listener.refused] == [bad, bad]
    assert listener.loaded == [good, good, good]


async def test_a_repair_ends_the_refusal(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)
    await keeper.refresh()
    repo.commit(*BROKEN)
    await keeper.refresh()
    repaired = repo.commit(BROKEN[0], "name: x\n")

    assert (await keeper.refresh()).revision == repaired
    assert keeper.refusal is None


async def test_another_broken_revision_is_told_too(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)
    await keeper.refresh()
    revisions = []
    for text in ("name: [\n", "name: {\n"):
        revisions.append(repo.commit(BROKEN[0], text))
        await keeper.refresh()

    assert [revision for revision, _ in listener.refused] == revisions


async def test_a_folder_is_reloaded_when_a_file_changes(tmp_path: Path, listener: Listener) -> None:
    prompt = tmp_path / PROMPT
    prompt.write_text("one")
    keeper = keeper_of(Folder(tmp_path), listener)
    first = await keeper.refresh()
    prompt.write_text("")
    assert await keeper.refresh() == first
    prompt.write_text("two")

    assert (await keeper.refresh()).system_prompt.text == "two"
    assert len(listener.refused) == 1


async def test_a_session_keeps_the_revision_it_began_with(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)
    first = await keeper.refresh()
    repo.commit(PROMPT, "new\n")
    await keeper.refresh()

    assert await keeper.at(first.revision) is first
    assert (await keeper.at(None)).system_prompt.text == "new\n"


async def test_after_a_restart_an_older_revision_is_read_from_the_repo_again(
    repo: GitRepo, listener: Listener
) -> None:
    began_with = (await keeper_of(repo, listener).refresh()).revision
    repo.commit(PROMPT, "new\n")
    restarted = keeper_of(repo, listener)
    await restarted.refresh()

    pinned = await restarted.at(began_with)

    assert (pinned.revision, pinned.notice) == (began_with, None)
    assert await restarted.at(began_with) is pinned


async def test_forgotten_revisions_are_read_again(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener, remembered=1)
    revisions = [(await keeper.refresh()).revision]
    for text in ("a", "b", "c"):
        revisions.append(repo.commit(PROMPT, text))
        await keeper.refresh()

    assert [(await keeper.at(revision)).revision for revision in revisions] == revisions


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_revision_that_is_gone_gives_the_current_one_and_says_so(
    repo: GitRepo, listener: Listener, is_away: bool
) -> None:
    keeper = keeper_of(repo, listener)
    current = await keeper.refresh()
    repo.is_away = is_away

    instead = await keeper.at("0" * 40)

    assert instead.revision == current.revision
    assert instead.notice is not None
    assert "0" * 40 in instead.notice
    assert keeper.current.notice is None


async def test_with_the_remote_away_at_first_start_the_packaged_knowledge_serves(
    repo: GitRepo, listener: Listener
) -> None:
    repo.is_away = True
    keeper = keeper_of(repo, listener)

    fallback = await keeper.refresh()

    assert fallback.revision == read_folder(packaged_path()).revision
    assert fallback.notice is not None
    assert "git.example does not answer" in fallback.notice

    repo.is_away = False
    back = await keeper.refresh()

    assert back.notice is None
    assert listener.loaded == [fallback.revision, back.revision]
    assert (await keeper.at(fallback.revision)).system_prompt == fallback.system_prompt


async def test_a_session_of_the_outage_finds_its_packaged_revision_after_a_restart(
    repo: GitRepo, listener: Listener
) -> None:
    keeper = keeper_of(repo, listener)
    await keeper.refresh()
    packaged = read_folder(packaged_path()).revision

    assert (await keeper.at(packaged)).revision == packaged


async def test_a_remote_that_goes_away_later_changes_nothing_and_is_logged_once(
    repo: GitRepo, listener: Listener
) -> None:
    keeper = keeper_of(repo, listener)
    good = await keeper.refresh()
    repo.is_away = True

    with capture_logs() as logs:
        for _ in range(3):
            assert await keeper.refresh() is good

    assert [entry["event"] for entry in logs] == ["knowledge_source_away"]


async def test_a_repo_that_is_broken_at_first_start_is_refused_and_the_packaged_knowledge_serves(
    repo: GitRepo, listener: Listener
) -> None:
    bad = repo.commit(*BROKEN)
    keeper = keeper_of(repo, listener)

    serving = await keeper.refresh()

    assert serving.notice is not None
    assert bad in serving.notice
    assert [revision for revision, _ in listener.refused] == [bad]
    assert keeper.is_loaded


async def test_without_any_usable_knowledge_the_start_fails(
    tmp_path: Path, repo: GitRepo, listener: Listener
) -> None:
    repo.is_away = True
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(KnowledgeBroken, match=r"system-prompt\.md:1: error: is missing"):
        await keeper_of(repo, listener, fallback=empty).refresh()


async def test_what_a_listener_missed_is_told_at_the_next_refresh(repo: GitRepo, listener: Listener) -> None:
    keeper = keeper_of(repo, listener)
    listener.is_broken = True
    with pytest.raises(ConnectionError):
        await keeper.refresh()
    assert keeper.is_loaded
    bad = repo.commit(*BROKEN)
    with pytest.raises(ConnectionError):
        await keeper.refresh()
    listener.is_broken = False

    await keeper.refresh()
    await keeper.refresh()

    assert listener.loaded == [keeper.current.revision]
    assert [revision for revision, _ in listener.refused] == [bad]


async def test_a_large_repo_is_loaded_as_well(repo: GitRepo, listener: Listener) -> None:
    repo.commit("standards/long.md", "# Long\n\n" + "word " * LARGE)
    keeper = keeper_of(repo, listener)

    assert "Long" in [standard.title for standard in (await keeper.refresh()).standards]
