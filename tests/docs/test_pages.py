"""The book: it builds without a warning, shows nothing from elsewhere, and says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import secret_variables, variables
from handbook import configuration
from handbook.pages import on_config
from tests.deploy.validators import ROOT, checked


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder)
    checked("python", *build, NO_MKDOCS_2_WARNING="1")
    return folder


def test_every_page_is_in_the_book(site: Path) -> None:
    written = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    shown = {path.relative_to(site) for path in site.rglob("*.html")} - {Path("404.html")}
    assert shown == written
    contents = (site / "index.html").read_text("utf-8")
    assert {str(page) for page in written if f'href="{page.as_posix()}"' not in contents} <= {"index.html"}


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    asked = {
        f"{page.relative_to(site)}: {address}"
        for page in site.rglob("*.html")
        for address in re.findall(
            r'<(?:script|img|link|iframe)[^>]*?(?:src|href)="?((?:https?:)?//[^" >]+)',
            page.read_text("utf-8"),
        )
    }
    assert asked == set()


def test_links_into_the_repository_become_words(site: Path) -> None:
    page = (site / "install.html").read_text("utf-8")
    assert 'href="../manifest.json"' not in page
    assert "manifest.json" in page


def test_a_shell_block_tells_its_reader_who_runs_it(site: Path) -> None:
    page = (site / "install.html").read_text("utf-8")
    assert "run by CI" in page
    assert "not run by CI" in page


def test_the_configuration_page_is_what_is_written_of_the_settings() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    assert page == configuration.page(), "run ./run docs"
    assert re.findall(r"^\| `(\w+)`", page, re.M) != []
    assert set(re.findall(r"^\| `(\w+)`", page, re.M)) == variables().keys()
    marked = set(re.findall(r"^\| `(\w+)` 🔒", page, re.M))
    assert marked == {name for name in secret_variables() if not name.startswith("MCP_")}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        (
            "LOG_LEVEL",
            "<code>DEBUG</code>, <code>INFO</code>, <code>WARNING</code>, <code>ERROR</code> | <code>INFO</code>",
        ),
        ("PORT", "a whole number ≥ 0 ≤ 65535 | <code>8080</code>"),
        ("AUTO_MIGRATE", "true or false | <code>true</code>"),
        ("GIT_POLL_SECONDS", "a number > 0 | <code>60</code>"),
    ],
)
def test_a_setting_says_what_it_takes_and_its_default(name: str, row: str) -> None:
    assert re.search(rf"(?m)^\| `{name}` \| {re.escape(row)} \| \w", configuration.page())


def test_a_folder_stands_for_its_pages_and_what_nobody_names_is_appended(tmp_path: Path) -> None:
    for name in ("index.md", "late.md", "tools/b.md", "tools/a.md", "tools/index.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    config = on_config({"docs_dir": str(tmp_path), "nav": [{"Home": "index.md"}, {"Tools": "tools/"}]})
    assert config["nav"] == [
        {"Home": "index.md"},
        {"Tools": ["tools/index.md", "tools/a.md", "tools/b.md"]},
        "late.md",
    ]
