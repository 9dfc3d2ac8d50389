"""The failure mode analysis: each dependency of the catalog and of the blueprint, with what is written of it."""

from __future__ import annotations

import pytest

from app.sources.prometheus import AlertRule
from app.workflows.wants.dependencies import Papers, analysed, others_in
from app.workflows.wants.pages import about, bullets, is_denied, rows_about, section, sentences
from tests.workflows.books import EXAMPLE, book

CHECKOUT = (EXAMPLE / "services/checkout.md").read_text("utf-8")
CONTRACT = (EXAMPLE / "contracts/checkout-to-inventory.md").read_text("utf-8")


async def test_it_walks_every_dependency_and_asks_only_what_nobody_wrote_down() -> None:
    run = await book("a failure mode analysis, please").begin()
    assert "depends on payments, inventory, notifications" in run.asked
    assert run.state.proposed == ["PostgreSQL 16"]

    await run.say("yes", "Payments fail; carts are kept", "yes", "CheckoutErrors pages within 5 minutes")
    assert "**inventory** is gone" in run.asked
    assert run.state.proposed == "without inventory: checkout refuses the order"
    await run.agree()

    made = run.file("failure-modes-checkout.md").content
    rows = {line.split("|")[1].strip(): line for line in made.splitlines() if line.startswith("| **")}
    assert list(rows) == ["**payments**", "**inventory**", "**notifications**", "**PostgreSQL 16**"]
    assert "| Payments fail; carts are kept | CheckoutErrors pages within 5 minutes |" in rows["**payments**"]
    assert "timeout of the caller: 800 ms per attempt" in rows["**payments**"]
    assert "tier 2 below tier 1, without a fallback" in rows["**inventory**"]
    assert "| asynchronous | Orders do not wait for it. |" in rows["**notifications**"]
    assert rows["**notifications**"].endswith("| no contract |")
    assert "- notifications: write a contract (standards/dependencies.md)" in made
    assert "contracts/checkout-to-payments.md" in made
    assert "dependency effect" in run.file("failure-modes-checkout.md").todos


async def test_a_service_without_dependencies_is_asked_for_what_is_not_listed() -> None:
    run = await book("failure modes").begin("inventory")
    assert "depends on nothing" in run.asked
    await run.say("PostgreSQL", "Nothing can be reserved", "none", "InventoryErrors", "skip")

    made = run.file("failure-modes-inventory.md")
    assert "| **PostgreSQL** |" in made.content
    assert "**none**" not in made.content
    assert "Its callers: checkout, reports." in made.content


def rule(name: str, query: str, **labels: str) -> AlertRule:
    return AlertRule(name, query, "inactive", "g", labels, {})


@pytest.mark.parametrize(
    ("papers", "rules", "theirs", "key", "expected"),
    [
        (Papers(), [], 1, "gap", "no contract; the blueprint does not say how it is used; no timeout is written down; no alert tells of it"),
        (Papers("payments. Timeout 1 s", "| a | b |\n|---|---|\n| retries | none |"), [], 1, "gap", "no alert tells of it"),
        (Papers("payments. Timeout 1 s", "x"), [], 3, "gap", "tier 3 below tier 1, without a fallback that is written down; no alert tells of it"),
        (Papers("payments, by a topic", "x"), [rule("A", 'up{service="payments"}')], 3, "gap", "none that can be seen from here"),
        (Papers("payments", "Timeout 1 s, no retry."), [], 1, "gap", "no alert tells of it"),
        (Papers("payments", "Timeout 1 s, no retry."), [], 1, "mitigation", "Timeout 1 s, no retry."),
        (Papers("payments", "When it is down, orders wait."), [], 1, "effect", "When it is down, orders wait."),
        (Papers(), [rule("A", 'up{service="payments"}'), rule("B", 'up{service="other"}')], 1, "detection", "A"),
        (Papers(), [rule("Errors", 'rate(e{service="checkout",status=~"5.."}[5m]) > 1')], 1, "detection", "Errors (on what users of checkout feel)"),
        (Papers(contract=CONTRACT), [], 1, "effect", "without inventory: checkout refuses the order"),
        (Papers(page="## Behaviour when down\n\nIt waits."), [], 1, "effect", "It waits."),
        (Papers("payments, by a topic"), [], 1, "coupling", "asynchronous"),
    ],
)  # fmt: skip
def test_what_is_seen_of_a_dependency(
    papers: Papers, rules: list[AlertRule], theirs: int, key: str, expected: str
) -> None:
    assert analysed("checkout", "payments", papers, rules, tier=1, theirs=theirs)[key] == expected


def test_pages_are_quoted_by_section_row_and_sentence() -> None:
    assert others_in(CHECKOUT, ["payments", "inventory", "notifications"]) == ("PostgreSQL 16",)
    assert section(CHECKOUT, "recovery").startswith("Nightly backup of the database.")
    assert section(CHECKOUT, "nowhere") == ""
    assert list(bullets("- a\n  b\n\n- c\n\ntext")) == ["a b", "c"]
    assert rows_about(CONTRACT, "rate limit") == ["rate limit: 40 rps"]
    assert about(CHECKOUT, "load test", most=1) == "No load test yet."
    assert "No load test yet." in sentences(CHECKOUT)
    assert not any("|" in each for each in sentences(CHECKOUT))
    assert [is_denied(each) for each in ("No load test yet.", "Tested in May.")] == [True, False]
