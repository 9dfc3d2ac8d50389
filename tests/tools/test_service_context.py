"""What is known of a service."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from app.context.blueprints import read_blueprints
from app.context.library import Library
from app.context.runbook_shelf import RunbookShelf
from app.knowledge.models import Document, Knowledge
from app.storage.tree import Tree
from app.tools import service_context
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute

TREE = Tree(
    "r1",
    {
        "services.yaml": (
            "services:\n"
            "- {name: checkout, aliases: [cart], tier: 1, team: Shop, depends_on: [payments],"
            " dashboards: ['https://grafana.acme.example/d/1']}\n"
            "- {name: payments, slack_channel: '#payments'}\n"
        ),
        "services/checkout.md": "# Checkout\n\nTakes the money.\n\n## Ports\n\n8080\n",
        "contracts/checkout-to-payments.md": "# Checkout to payments\n\nAt most 100/s.\n",
    },
    web_url="https://git.acme.example/b",
)


class Source:
    async def refresh(self) -> Tree:
        return TREE

    async def tree_at(self, revision: str) -> Tree | None:
        return None


async def ask(about: str | None = "checkout", *, with_papers: bool = True, **arguments: Any) -> Executed:
    library = Library(Source())
    await library.refresh()
    page = Document("runbooks/CheckoutQueue.md", "Checkout queue", "# Checkout queue\n\nLook at it.\n")
    knowledge = Knowledge("k1", Document("system-prompt.md", "", ""), runbooks=(page,))
    shelf = RunbookShelf(lambda: knowledge, lambda: library.catalog)
    parts = SimpleNamespace(library=library, runbooks=shelf)
    if with_papers:
        parts.blueprints = lambda: read_blueprints(TREE)
    made = service_context.tool(parts)
    assert made is not None
    scope = ToolScope(service=about)
    return await execute(Catalogue([made]), "service_context", arguments, scope=scope, limit_bytes=4096)


async def test_entry_neighbours_runbooks_contracts_and_blueprint_are_told() -> None:
    done = await ask(None, service="cart")

    for line in (
        "service: checkout",
        "tier: 1",
        "repo: not said",
        "depends on: payments",
        "is needed by: nothing that the catalog knows",
        "dashboards: https://grafana.acme.example/d/1",
        "runbook that names it: Checkout queue (runbooks/CheckoutQueue.md)",
        "contract: contracts/checkout-to-payments.md",
        "Head of its blueprint (services/checkout.md):",
        "Takes the money.",
    ):
        assert line in done.text.splitlines()
    assert {each.kind for each in done.sources} == {"catalog", "contract", "blueprint"}


async def test_what_needs_a_service_is_told_and_papers_are_no_need() -> None:
    done = await ask("payments", with_papers=False)

    assert "is needed by: checkout" in done.text
    assert "tier: not said" in done.text


async def test_an_unknown_service_is_a_sentence() -> None:
    done = await ask(None, service="nobody")
    assert done.failed
    assert "has no service 'nobody'" in done.text


def test_without_a_catalog_the_tool_is_not_offered() -> None:
    assert service_context.tool(object()) is None
