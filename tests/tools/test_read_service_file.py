"""The tool that reads a file of a service's repo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.context.library import Library
from app.context.repos import Repos
from app.storage.engine import create_engine
from app.storage.tree import Tree
from app.tools.catalogue import Tool, ToolFailed, ToolScope
from app.tools.read_service_file import ReadServiceFile, tool
from tests.context.clock import Clock
from tests.context.github_wire import GitHubWire
from tests.context.origin import Origin

ABOUT_CHECKOUT = ToolScope(service="checkout")


@dataclass(frozen=True)
class Blueprints:
    tree: Tree

    async def refresh(self) -> Tree:
        return self.tree

    async def tree_at(self, revision: str) -> Tree | None:
        return self.tree if revision == self.tree.revision else None


@dataclass
class Parts:
    library: Library
    repos: Repos


@pytest.fixture
async def parts(database_url: str, tmp_path: Path) -> AsyncIterator[Parts]:
    origin = Origin(tmp_path / "checkout")
    origin.commit(
        {
            "src/main.py": "".join(f"line {number}\n" for number in range(1, 301)),
            ".env": "PASSWORD=1\n",
        }
    )
    services = (
        f"services:\n- {{name: checkout, aliases: [cart], repo: '{origin.url}'}}\n- {{name: payments}}\n"
    )
    library = Library(Blueprints(Tree("r1", {"services.yaml": services})))
    await library.refresh()
    engine = create_engine(database_url)
    yield Parts(library, Repos(tmp_path / "mirrors", engine, clock=Clock()))
    await engine.dispose()


@pytest.fixture
def reads(parts: Parts) -> Tool[ReadServiceFile]:
    made = tool(parts)
    assert made is not None
    return made


async def test_a_file_of_the_conversations_service_is_read(reads: Tool[ReadServiceFile]) -> None:
    result = await reads.run(ReadServiceFile(path="src/main.py", lines=2), ABOUT_CHECKOUT)
    assert result.text == "checkout/src/main.py:\n    1  line 1\n    2  line 2\n(298 more lines)"
    assert [(source.kind, source.path) for source in result.sources] == [("code", "src/main.py")]


async def test_a_part_of_a_long_file_is_read(reads: Tool[ReadServiceFile]) -> None:
    asked = ReadServiceFile(path="src/main.py", service="cart", from_line=299)
    assert (
        await reads.run(asked, ToolScope())
    ).text == "checkout/src/main.py:\n  299  line 299\n  300  line 300"


async def test_a_folder_is_listed(reads: Tool[ReadServiceFile]) -> None:
    assert (await reads.run(ReadServiceFile(), ABOUT_CHECKOUT)).text == "checkout/:\nsrc/"


@pytest.mark.parametrize(
    ("asked", "service", "said"),
    [
        (ReadServiceFile(path="src/main.py"), None, "Name a service"),
        (ReadServiceFile(path="x", service="elsewhere"), None, "It has: checkout, payments"),
        (ReadServiceFile(path="x", service="payments"), None, "names no repository of payments"),
        (ReadServiceFile(path=".env"), "checkout", "looks like a secret"),
        (ReadServiceFile(path="../x"), "checkout", "leads out of the repo"),
        (ReadServiceFile(path="main.py"), "checkout", "There is src/main.py"),
        (ReadServiceFile(path="src/main.py", from_line=301), "checkout", "only 300 lines"),
    ],
)
async def test_what_cannot_be_done_is_a_sentence_for_the_model(
    reads: Tool[ReadServiceFile], asked: ReadServiceFile, service: str | None, said: str
) -> None:
    with pytest.raises(ToolFailed, match=said):
        await reads.run(asked, ToolScope(service=service))


def test_without_repos_the_tool_is_not_offered() -> None:
    assert tool(object()) is None  # type: ignore[arg-type]


async def test_the_source_of_an_excerpt_opens_at_its_first_line(
    parts: Parts, database_url: str, tmp_path: Path
) -> None:
    code = "".join(f"line {number}\n" for number in range(1, 31))
    engine = create_engine(database_url)
    async with GitHubWire({"acme/checkout": {"src/main.py": code, "README.md": code}}) as wire:
        services = "services:\n- {name: checkout, repo: acme/checkout}\n"
        library = Library(Blueprints(Tree("r2", {"services.yaml": services})))
        await library.refresh()
        repos = Repos(tmp_path / "github", engine, github_api_url=wire.url, clock=Clock())
        reads = tool(Parts(library, repos))
        assert reads is not None
        for asked, anchor in (
            (ReadServiceFile(path="src/main.py", from_line=12), "blob/main/src/main.py#L12"),
            (ReadServiceFile(path="src/main.py"), "blob/main/src/main.py"),
            (ReadServiceFile(path="README.md", from_line=12), "blob/main/README.md#L12"),
        ):
            (source,) = (await reads.run(asked, ABOUT_CHECKOUT)).sources
            assert source.url == f"{wire.url}/acme/checkout/{anchor}"
    await engine.dispose()
