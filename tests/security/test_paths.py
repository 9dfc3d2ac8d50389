"""No path that data choose leads out of the folder it is meant for; symbolic links are no way either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.context.mirrors import Mirror
from app.context.models import Service
from app.context.repos import Repos
from app.errors import AgentError
from app.investigations.filing import ReportNotWritten, report_file_name, write_report
from app.investigations.record import Record
from app.storage.engine import create_engine
from app.storage.tree import read_folder
from app.workflows.rendering import file_name
from tests.context.origin import Origin

SECRET = "root:x:0:0:canary"
EVIL = (
    "../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "a/../../b",
    "a\x00b",
    "%2e%2e%2fetc",
    "\u2024\u2024/etc",
    ".hidden",
    "~root",
    "C:\\x",
    "\u202edm.exe",
    "x" * 5000,
    "",
)
PATHS = st.one_of(
    st.sampled_from(EVIL), st.text(alphabet="ab./\\-~%2e\x00 ", max_size=400), st.text(max_size=300)
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside" / "passwd.md"
    file.parent.mkdir()
    file.write_text(SECRET)
    return file


def inside(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


# -- reports (INCIDENTS_DIR) -------------------------------------------------------------------------------


@given(PATHS)
def test_the_name_of_a_report_is_one_plain_name(words: str) -> None:
    record = Record(
        id=UUID(int=7), title=words, service=words or None, started_at=datetime(2026, 11, 20, tzinfo=UTC)
    )
    name = report_file_name(record)
    assert PurePosixPath(name).parts == (name,)
    assert name.isascii()
    assert name.endswith(f"{record.id.hex}.md")
    assert len(name) < 255


@pytest.mark.parametrize("name", EVIL)
def test_a_report_of_another_name_is_not_written(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "incidents"
    with pytest.raises(ReportNotWritten):
        write_report(folder, name, "x")
    assert inside(tmp_path) in ([], ["incidents"])


def test_a_report_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path, outside: Path) -> None:
    folder = tmp_path / "incidents"
    folder.mkdir()
    name = report_file_name(Record(id=UUID(int=7), title="x", started_at=datetime(2026, 11, 20, tzinfo=UTC)))
    (folder / name).symlink_to(outside)
    write_report(folder, name, "the report")
    assert outside.read_text() == SECRET
    assert (folder / name).read_text() == "the report"
    assert not (folder / name).is_symlink()


# -- files that workflows make -----------------------------------------------------------------------------


@given(PATHS)
def test_a_file_of_a_workflow_stays_where_it_is_put(said: str) -> None:
    name = file_name(said)
    parts = name.split("/")
    assert name.isascii()
    assert "\\" not in name
    assert all(part and not part.startswith((".", "-")) for part in parts)


def test_a_name_that_is_cut_is_no_path_from_the_top() -> None:
    for length in range(1, 300):
        assert not file_name("a" * length + "/.." * 3 + "/b" * 60).startswith(("/", ".", "-"))


# -- the repos of services, of knowledge and of blueprints ---------------------------------------------------


@pytest.fixture
async def repos(database_url: str, tmp_path: Path) -> AsyncIterator[Repos]:
    engine = create_engine(database_url)
    yield Repos(tmp_path / "mirrors", engine, github_api_url="http://elsewhere.invalid")
    await engine.dispose()


def linked(tmp_path: Path, outside: Path) -> Origin:
    """A repo with links to a file and a folder elsewhere, also under the names that are looked for."""
    origin = Origin(tmp_path / "git" / "checkout")
    origin.commit({"docs/own.md": "own"})
    for name, target in (
        ("README.md", outside),
        ("passwd.md", outside),
        ("folder", outside.parent),
        ("docs/up.md", Path("../../../outside/passwd.md")),
        ("services.yaml", outside),
    ):
        (origin.path / name).symlink_to(target)
    origin.git("add", "--all")
    origin.git("commit", "--quiet", "-m", "Link")
    return origin


async def test_links_of_a_service_repo_lead_nowhere(repos: Repos, tmp_path: Path, outside: Path) -> None:
    service = Service(name="checkout", repo=linked(tmp_path, outside).url)
    assert (await repos.page(service, "docs/own.md")).text == "own"
    for path in ("README.md", "passwd.md", "folder/passwd.md", "docs/up.md", "folder"):
        try:
            page = await repos.page(service, path)
        except AgentError:
            continue
        # A listing of where a link stands is no reading of what it leads to.
        assert SECRET not in page.text, path
    assert SECRET not in str(await repos.readme(service))
    assert (await repos.search(service, "canary")).lines == ()


@pytest.mark.parametrize("path", [*EVIL[:5], "docs/../../../outside/passwd.md", ".git/config", "~/x"])
async def test_a_path_of_a_model_stays_in_the_repo(
    repos: Repos, tmp_path: Path, outside: Path, path: str
) -> None:
    with pytest.raises(AgentError):
        await repos.page(Service(name="checkout", repo=linked(tmp_path, outside).url), path)


async def test_links_of_a_mirror_and_of_a_folder_are_left_out(tmp_path: Path, outside: Path) -> None:
    """Of either, templates and workflows include what is in the tree, and nothing else."""
    origin = linked(tmp_path, outside)
    tree = await Mirror(origin.url, "HEAD", tmp_path / "mirror").refresh()
    folder = read_folder(origin.path)
    assert set(tree.files) == {"docs/own.md"}
    assert set(folder.files) == {"docs/own.md"}
    assert SECRET not in f"{dict(tree.files)} {dict(folder.files)}"
