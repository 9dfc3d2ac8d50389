"""Mirrors hold the newest tree that can be had, whatever happens to the remote or to the disk."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.context.folder import FolderMissing
from app.context.mirrors import Folder, Mirror, MirrorUnavailable, watch
from tests.context.clock import Clock
from tests.context.origin import Origin, SmartHttp, smart_http


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    origin = Origin(tmp_path / "git" / "acme" / "blueprints")
    origin.commit({"services.yaml": "services: []\n", "services/checkout.md": "# Checkout\n"})
    return origin


@pytest.fixture
def server(origin: Origin, tmp_path: Path) -> Iterator[SmartHttp]:
    with smart_http(tmp_path / "git") as server:
        yield server


def mirror_of(url: str, tmp_path: Path, *, ref: str = "main", **options: object) -> Mirror:
    return Mirror(url, ref, tmp_path / "mirrors" / "blueprints", **options)  # type: ignore[arg-type]


async def test_the_tree_is_what_the_branch_holds(origin: Origin, tmp_path: Path) -> None:
    tree = await mirror_of(origin.url, tmp_path).refresh()
    assert dict(tree.files) == {"services.yaml": "services: []\n", "services/checkout.md": "# Checkout\n"}
    assert origin.git("rev-parse", "main").startswith(tree.revision)
    assert (len(tree.revision), tree.notice, tree.web_url) == (12, None, None)


async def test_an_unchanged_branch_gives_the_same_tree(origin: Origin, tmp_path: Path) -> None:
    mirror = mirror_of(origin.url, tmp_path)
    assert await mirror.refresh() is await mirror.refresh()


async def test_a_push_is_seen_at_the_next_refresh(origin: Origin, tmp_path: Path) -> None:
    mirror = mirror_of(origin.url, tmp_path)
    before = await mirror.refresh()
    origin.commit({"services/payments.md": "# Payments\n"})
    after = await mirror.refresh()
    assert after.revision != before.revision
    assert after.files["services/payments.md"] == "# Payments\n"


async def test_rewritten_history_is_followed(origin: Origin, tmp_path: Path) -> None:
    mirror = mirror_of(origin.url, tmp_path)
    await mirror.refresh()
    origin.git("checkout", "--quiet", "--orphan", "other")
    origin.git("rm", "-rfq", "--cached", ".")
    (origin.path / "services.yaml").unlink()
    revision = origin.commit({"new.md": "# New\n"})
    origin.git("branch", "--force", "main", revision)
    assert "services.yaml" not in (await mirror.refresh()).files


async def test_an_older_revision_can_still_be_read(origin: Origin, tmp_path: Path) -> None:
    mirror = mirror_of(origin.url, tmp_path)
    before = await mirror.refresh()
    origin.commit({"services/checkout.md": "# Rewritten\n"})
    await mirror.refresh()
    old = await mirror.tree_at(before.revision)
    assert old is not None
    assert (old.revision, dict(old.files)) == (before.revision, dict(before.files))
    # So can a process that starts only now.
    assert await mirror_of(origin.url, tmp_path).tree_at(before.revision) == old


@pytest.mark.parametrize("revision", ["0" * 12, "local-abc", "", "--help", "main", "HEAD"])
async def test_a_revision_that_is_not_there_is_none(origin: Origin, tmp_path: Path, revision: str) -> None:
    mirror = mirror_of(origin.url, tmp_path)
    await mirror.refresh()
    assert await mirror.tree_at(revision) is None


async def test_a_tag_may_be_mirrored_and_so_may_the_default_branch(origin: Origin, tmp_path: Path) -> None:
    released = origin.git("rev-parse", "HEAD")
    origin.git("tag", "light")
    origin.git("tag", "-a", "v1", "-m", "Version 1")
    newest = origin.commit({"later.md": "# Later\n"})
    for ref, revision in (("light", released), ("v1", released), ("HEAD", newest)):
        tree = await Mirror(origin.url, ref, tmp_path / "mirrors" / ref).refresh()
        assert revision.startswith(tree.revision), ref


async def test_a_branch_that_is_not_there_is_named(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(MirrorUnavailable, match="no branch or tag named 'mian'"):
        await mirror_of(origin.url, tmp_path, ref="mian").refresh()


async def test_links_submodules_binaries_and_giants_are_left_out(origin: Origin, tmp_path: Path) -> None:
    (origin.path / "link.md").symlink_to("/etc/passwd")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{origin.git('rev-parse', 'HEAD')},module")
    origin.commit(
        {
            "logo.png": b"\x89PNG\0\0",
            "latin.md": "caf\xe9".encode("latin-1"),
            "giant.md": "x" * (5 * 1024 * 1024 + 1),
            ".github/workflow.yaml": "on: push\n",
            "größe.md": "# Größe\n",
        }
    )
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{origin.git('rev-parse', 'HEAD')},module")
    origin.git("commit", "--quiet", "-m", "Add a submodule")
    tree = await mirror_of(origin.url, tmp_path).refresh()
    assert tree.left_out == ("giant.md", "latin.md", "link.md", "logo.png", "module")
    assert sorted(tree.files) == ["größe.md", "services.yaml", "services/checkout.md"]


async def test_a_tree_is_read_up_to_a_size_in_all(origin: Origin, tmp_path: Path) -> None:
    origin.commit({"z/long.md": "x" * 1000})
    tree = await mirror_of(origin.url, tmp_path, largest_tree=500).refresh()
    assert tree.left_out == ("z/long.md",)


async def test_an_outage_leaves_the_last_good_copy_and_says_since_when(
    server: SmartHttp, origin: Origin, tmp_path: Path
) -> None:
    clock = Clock()
    mirror = mirror_of(f"{server.url}/acme/blueprints", tmp_path, clock=clock)
    good = await mirror.refresh()
    server.away = True
    clock.passes(minutes=4)
    away = await mirror.refresh()
    assert away.files == good.files
    assert away.notice == (
        "The blueprints repo could not be reached since 14:02 UTC; "
        f"this is the copy of 13:58, revision {good.revision[:7]}."
    )
    clock.passes(minutes=4)
    assert await mirror.refresh() is away
    # A process that starts during the outage finds the copy too.
    later = await mirror_of(f"{server.url}/acme/blueprints", tmp_path, clock=clock).refresh()
    assert later.files == good.files
    assert "since 14:06 UTC; this is the copy of 13:58" in (later.notice or "")
    server.away = False
    assert (await mirror.refresh()).notice is None


async def test_a_remote_that_was_never_reached_is_unavailable(server: SmartHttp, tmp_path: Path) -> None:
    server.away = True
    with pytest.raises(MirrorUnavailable, match="blueprints could not be fetched"):
        await mirror_of(f"{server.url}/acme/blueprints", tmp_path).refresh()


async def test_the_token_goes_to_the_host_and_shows_nowhere(
    server: SmartHttp, origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.expects = "s3cret"
    mirror = mirror_of(
        f"{server.url}/acme/blueprints",
        tmp_path,
        token=SecretStr("s3cret"),
        github_api_url=f"{server.url}/api/v3",
    )
    await mirror.refresh()
    origin.commit({"more.md": "# More\n"})
    assert "more.md" in (await mirror.refresh()).files
    stored = [file.read_bytes() for file in (tmp_path / "mirrors").rglob("*") if file.is_file()]
    assert not [content for content in stored if b"s3cret" in content or b"Basic" in content]
    assert "s3cret" not in repr(mirror.address)


async def test_the_token_stays_at_home_when_the_repo_is_elsewhere(server: SmartHttp, tmp_path: Path) -> None:
    await mirror_of(f"{server.url}/acme/blueprints", tmp_path, token=SecretStr("s3cret")).refresh()
    assert server.authorizations == {""}


async def test_the_token_does_not_follow_a_repo_to_another_host(
    server: SmartHttp, origin: Origin, tmp_path: Path
) -> None:
    with smart_http(tmp_path / "git") as other:
        server.moved_to = other.url
        mirror = mirror_of(
            f"{server.url}/acme/blueprints",
            tmp_path,
            token=SecretStr("s3cret"),
            github_api_url=server.url,
        )
        with pytest.raises(MirrorUnavailable, match="returned error: 301"):
            await mirror.refresh()
        assert other.requests == []
        # Without a token there is nothing to lose.
        assert (await mirror_of(f"{server.url}/acme/blueprints", tmp_path).refresh()).notice is None


async def test_credentials_in_the_address_are_used_and_hidden(server: SmartHttp, tmp_path: Path) -> None:
    server.expects = "p@ss"
    host = server.url.removeprefix("http://")
    mirror = mirror_of(f"http://ada:p%40ss@{host}/acme/blueprints", tmp_path)
    assert (await mirror.refresh()).notice is None
    assert mirror.address.url == f"{server.url}/acme/blueprints"


async def test_a_refused_token_does_not_prompt_and_does_not_leak(server: SmartHttp, tmp_path: Path) -> None:
    server.expects = "right"
    with pytest.raises(MirrorUnavailable) as refused:
        await mirror_of(
            f"{server.url}/acme/blueprints",
            tmp_path,
            token=SecretStr("wr0ng"),
            github_api_url=server.url,
        ).refresh()
    assert len(server.authorizations) == 1
    assert "wr0ng" not in str(refused.value)
    assert "git ls-remote" in str(refused.value)


@pytest.mark.parametrize("damage", ["no objects", "no head", "garbage", "stale lock"])
async def test_a_broken_copy_is_replaced(origin: Origin, tmp_path: Path, damage: str) -> None:
    good = await mirror_of(origin.url, tmp_path).refresh()
    folder = tmp_path / "mirrors" / "blueprints"
    if damage == "no objects":
        for file in (folder / "objects").rglob("*"):
            if file.is_file():
                file.unlink()
    elif damage == "no head":
        (folder / "HEAD").unlink()
    elif damage == "garbage":
        for file in folder.rglob("*"):
            if file.is_file():
                file.chmod(0o600)
                file.write_bytes(b"\0garbage")
    else:
        origin.commit({"more.md": "# More\n"})
        (folder / "shallow.lock").write_text("")
        (folder / "refs" / "mirror" / "current.lock").write_text("")
    again = await mirror_of(origin.url, tmp_path).refresh()
    assert again.notice is None
    assert dict(again.files).items() >= dict(good.files).items()
    assert ("more.md" in again.files) == (damage == "stale lock")


async def test_a_copy_that_is_broken_during_an_outage_is_not_thrown_away(
    server: SmartHttp, origin: Origin, tmp_path: Path
) -> None:
    mirror = mirror_of(f"{server.url}/acme/blueprints", tmp_path)
    good = await mirror.refresh()
    server.away = True
    blob = origin.git("rev-parse", "HEAD:services.yaml")
    (tmp_path / "mirrors" / "blueprints" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(MirrorUnavailable):
        await mirror_of(f"{server.url}/acme/blueprints", tmp_path).refresh()
    server.away = False
    assert (await mirror_of(f"{server.url}/acme/blueprints", tmp_path).refresh()).files == good.files


MANY = """
import asyncio, sys
from pathlib import Path
from app.context.mirrors import Mirror
url, folder = sys.argv[1:]
print(asyncio.run(Mirror(url, "main", Path(folder)).refresh()).revision)
"""


async def test_processes_share_one_folder(origin: Origin, tmp_path: Path) -> None:
    folder = tmp_path / "mirrors" / "shared"
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MANY, origin.url, str(folder), stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = [(await process.communicate())[0].decode().strip() for process in started]
    assert set(said) == {origin.git("rev-parse", "HEAD")[:12]}


async def test_many_refreshes_at_once_are_one_after_the_other(origin: Origin, tmp_path: Path) -> None:
    mirror = mirror_of(origin.url, tmp_path)
    trees = await asyncio.gather(*(mirror.refresh() for _ in range(5)))
    assert all(tree is trees[0] for tree in trees)


async def test_a_pull_within_its_age_asks_nobody(server: SmartHttp, origin: Origin, tmp_path: Path) -> None:
    clock = Clock()
    mirror = mirror_of(f"{server.url}/acme/blueprints", tmp_path, clock=clock)
    first = await mirror.pull(max_age=60)
    asked = len(server.requests)
    origin.commit({"more.md": "# More\n"})
    assert await mirror.pull(max_age=60) == first
    assert len(server.requests) == asked
    clock.passes(seconds=61)
    assert (await mirror.pull(max_age=60)).revision == origin.git("rev-parse", "HEAD")


async def test_a_poll_that_finds_nothing_new_fetches_nothing(server: SmartHttp, tmp_path: Path) -> None:
    mirror = mirror_of(f"{server.url}/acme/blueprints", tmp_path)
    await mirror.refresh()
    server.requests.clear()
    await mirror.refresh()
    # Protocol version 2: the capabilities, then one listing of the refs asked for.
    assert [path.partition("?")[0].rsplit("/", 1)[-1] for path in server.requests] == [
        "refs",
        "git-upload-pack",
    ]


async def test_a_folder_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "checkout.md").write_text("# Checkout\n")
    folder = Folder(tmp_path)
    before = await folder.refresh()
    assert await folder.refresh() is before
    (tmp_path / "services" / "checkout.md").write_text("# Checkout, rewritten\n")
    after = await folder.refresh()
    assert after.files["services/checkout.md"] == "# Checkout, rewritten\n"
    assert await folder.tree_at(after.revision) is after
    assert await folder.tree_at(before.revision) is None


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing, match="nowhere"):
        await Folder(tmp_path / "nowhere").refresh()


async def test_a_watch_outlives_failures_and_wakes_when_told() -> None:
    wake, calls = asyncio.Event(), 0
    called = asyncio.Event()

    async def refresh() -> None:
        nonlocal calls
        calls += 1
        called.set()
        raise RuntimeError("away")

    task = asyncio.create_task(watch(refresh, seconds=3600, wake=wake))
    for expected in (1, 2):
        wake.set()
        await asyncio.wait_for(called.wait(), 60)
        called.clear()
        assert calls == expected
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_watch_polls_by_itself() -> None:
    called = asyncio.Event()

    async def refresh() -> None:
        called.set()

    task = asyncio.create_task(watch(refresh, seconds=0.01))
    await asyncio.wait_for(called.wait(), 60)
    task.cancel()
    assert called.is_set()
