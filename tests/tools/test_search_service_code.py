"""The tool that searches the code of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.context.library import Library
from app.context.mirrors import Folder
from app.context.repos import Repos
from app.storage.engine import create_engine
from app.tools.catalogue import Tool, ToolFailed, ToolScope
from app.tools.search_service_code import SearchServiceCode, tool
from tests.context.clock import Clock
from tests.context.origin import Origin

ABOUT_CHECKOUT = ToolScope(service="checkout")


@dataclass(frozen=True)
class Parts:
    library: Library
    repos: Repos


@pytest.fixture
async def searches(database_url: str, tmp_path: Path) -> AsyncIterator[Tool[SearchServiceCode]]:
    origin = Origin(tmp_path / "checkout")
    origin.commit(
        {
            "src/main.py": "def charge():\n    retry(3)\n    retry(4)\n",
            "src/other.py": "charge()\n",
            "wide.txt": "retry " + "x" * 5000 + "\n",
        }
    )
    (tmp_path / "blueprints").mkdir()
    services = f"services:\n- {{name: checkout, repo: '{origin.url}'}}\n- {{name: payments}}\n"
    (tmp_path / "blueprints" / "services.yaml").write_text(services)
    library = Library(Folder(tmp_path / "blueprints"))
    await library.refresh()
    engine = create_engine(database_url)
    made = tool(Parts(library, Repos(tmp_path / "mirrors", engine, clock=Clock())))
    assert made is not None
    yield made
    await engine.dispose()


async def test_hits_are_file_line_and_text(searches: Tool[SearchServiceCode]) -> None:
    result = await searches.run(SearchServiceCode(text="charge"), ABOUT_CHECKOUT)
    assert result.text == "src/main.py:1: def charge():\nsrc/other.py:1: charge()"
    assert [source.path for source in result.sources] == ["src/main.py", "src/other.py"]
    assert result.title == "Searched checkout for “charge”: 2 hits"


async def test_a_file_is_one_source_and_a_long_line_is_cut(searches: Tool[SearchServiceCode]) -> None:
    result = await searches.run(SearchServiceCode(text="retry"), ABOUT_CHECKOUT)
    assert [source.title for source in result.sources] == ["checkout/src/main.py:2", "checkout/wide.txt:1"]
    assert max(map(len, result.text.splitlines())) < 250


async def test_nothing_found_is_said(searches: Tool[SearchServiceCode]) -> None:
    result = await searches.run(SearchServiceCode(text="no such thing"), ABOUT_CHECKOUT)
    assert result.text.startswith("Nothing in the code of checkout holds 'no such thing'")
    assert result.title == "Searched checkout for “no such thing”: no hits"


async def test_what_cannot_be_done_is_a_sentence_for_the_model(searches: Tool[SearchServiceCode]) -> None:
    for asked, said in (
        (SearchServiceCode(text="x1", service="payments"), "names no repository"),
        (SearchServiceCode(text="x1", service="elsewhere"), "no service 'elsewhere'"),
        (SearchServiceCode(text="  "), "Give a text"),
    ):
        with pytest.raises(ToolFailed, match=said):
            await searches.run(asked, ABOUT_CHECKOUT)


def test_a_text_of_one_letter_is_no_search() -> None:
    with pytest.raises(ValidationError):
        SearchServiceCode(text="x")
