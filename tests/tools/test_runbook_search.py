"""The tool that finds runbooks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from app.context.catalog import Catalog, read_catalog
from app.context.runbook_shelf import RunbookShelf
from app.knowledge.models import Document, Knowledge
from app.storage.tree import Tree
from app.tools import runbook_search
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute

PROMPT = Document("system-prompt.md", "", "")


def knowledge(revision: str = "r1", **pages: str) -> Knowledge:
    documents = tuple(Document(f"runbooks/{name}.md", name, text) for name, text in pages.items())
    return Knowledge(revision, PROMPT, runbooks=documents, web_url="https://git.acme.example/k")


PAGES = {
    "PoolExhausted": "# Pool exhausted\n\nAll connections are in use.\n\n## Look\n\n- open transactions\n",
    "HighLatency": "# High latency\n\nRequests are slow when the pool is exhausted.\n",
    "DiskFull": "# Disk full\n\nNothing can be written; password=hunter2.\n",
}


class Place:
    """What is in force; the test changes it."""

    def __init__(self) -> None:
        self.knowledge = knowledge(**PAGES)
        self.catalog = Catalog()
        self.shelf = RunbookShelf(lambda: self.knowledge, lambda: self.catalog)

    async def ask(self, *, limit_bytes: int = 4096, service: str | None = None, **arguments: Any) -> Executed:
        made = runbook_search.tool(SimpleNamespace(runbooks=self.shelf))
        assert made is not None
        scope = ToolScope(service=service)
        return await execute(
            Catalogue([made]), "runbook_search", arguments, scope=scope, limit_bytes=limit_bytes
        )


async def test_the_named_runbook_is_read_in_full_with_its_address() -> None:
    done = await Place().ask(alert="PoolExhausted")

    assert done.text.startswith(
        "## Runbook “PoolExhausted” (named like the alert; runbooks/PoolExhausted.md)"
    )
    assert "- open transactions" in done.text
    assert done.sources[0].url == "https://git.acme.example/k/runbooks/PoolExhausted.md"
    assert done.sources[0].kind == "runbook"


async def test_words_find_it_and_secrets_in_it_are_masked() -> None:
    done = await Place().ask(text="the disk is full")

    assert done.text.startswith("## Runbook “DiskFull” (its title fits by 100%")
    assert "hunter2" not in done.text + (done.full or "")


async def test_nothing_that_fits_is_said_and_an_empty_question_is_refused() -> None:
    place = Place()

    assert (await place.ask(text="zebra")).text == "None of 3 runbooks has to do with “zebra”."
    assert (await place.ask()).failed


async def test_a_long_runbook_keeps_within_the_limit_and_is_kept_whole() -> None:
    place = Place()
    place.knowledge = knowledge(**PAGES, QueueStuck="# Queue stuck\n\n" + "Look at the consumer.\n" * 900)
    done = await place.ask(alert="QueueStuck", text="pool disk latency", limit_bytes=2000)

    assert len(done.text.encode()) <= 2000
    assert "## Runbook “HighLatency”" in done.text
    assert done.full is not None
    assert done.full.count("Look at the consumer.") == 900


async def test_a_new_revision_is_searched_from_the_next_question_on() -> None:
    place = Place()
    await place.ask(text="zebra")
    place.knowledge = knowledge("r2", ZebraCrossing="# Zebra crossing\n\nStop.\n")

    assert (await place.ask(text="zebra")).text.startswith("## Runbook “ZebraCrossing”")


async def test_the_pages_a_service_links_to_are_found_for_it() -> None:
    place = Place()
    listed = "services:\n- {name: checkout, runbooks: ['https://wiki.acme.example/CheckoutQueue']}\n"
    place.catalog = read_catalog(Tree("r1", {"services.yaml": listed}))

    done = await place.ask(alert="CheckoutQueue", service="checkout")
    assert "https://wiki.acme.example/CheckoutQueue" in done.text
    assert done.sources[0].url == "https://wiki.acme.example/CheckoutQueue"
    other = await place.ask(alert="CheckoutQueue", service="payments")
    assert "wiki.acme.example" not in other.text


def test_without_runbooks_the_tool_is_not_offered() -> None:
    assert runbook_search.tool(SimpleNamespace()) is None
