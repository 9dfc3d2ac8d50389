"""The production readiness review: the tier's lines, what is found for each, and the score."""

from __future__ import annotations

import pytest

from app.workflows.wants.readiness import MARKS, Line, lines_of, score, with_answers
from tests.workflows.books import book

LINK = "https://wiki.acme.example/load-test"


async def test_only_what_could_not_be_found_is_asked_and_only_a_link_meets_a_line() -> None:
    run = await book("production readiness review").begin()
    await run.say("Winter sale")
    while "**Load test**" not in run.asked:
        await run.say("skip")
    assert "2 × expected peak for 30 min" in run.asked
    assert "“No load test yet.”" in run.asked
    await run.say(LINK)
    await run.agree()

    made = run.file("readiness-checkout.md")
    lines = {line.split("|")[1].strip(): line for line in made.content.splitlines() if line.startswith("| ")}
    assert lines["Load test"].endswith(f"| ✅ met | {LINK} |")
    assert (
        "| ✅ met | contracts/checkout-to-payments.md, contracts/checkout-to-inventory.md |"
        in lines["Contracts"]
    )
    assert "| ❌ open | payments tier 1, inventory tier 2 (catalog) |" in lines["Dependencies"]
    assert "pay: missing" in lines["SLO as code"]
    assert "| 🟡 stated |" in lines["Releases"]
    assert "2 of 13 lines have a proof" in made.content
    assert "For: Winter sale" in made.content
    assert "- [ ] Backup restored into an empty environment, with the time it took" in made.content
    assert "On call" in made.todos
    assert "Load test" not in made.todos
    assert not any("**Releases**" in each for each in run.questions)


async def test_a_service_of_tier_4_owes_little() -> None:
    run = await book("readiness review").begin("reports")
    await run.agree()

    made = run.file("readiness-reports.md").content
    assert "| Disaster recovery | rebuilt from its repo; backup if it has data |" in made
    assert "| Load test |" not in made


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (LINK, "met"),
        ("docs/load-test.md", "met"),
        ("We did it in May", "stated"),
        ("planned", "open"),
        (None, "open"),
    ],
)
def test_what_people_bring_is_weighed(said: str | None, status: str) -> None:
    card = [Line("Load test", "2 ×", "open").as_fact()]
    answers = {} if said is None else {"evidence[Load test]": said}

    assert with_answers(card, answers)[0]["status"] == MARKS[status]


def test_what_the_standard_does_not_ask_for_is_no_line() -> None:
    rows = {"Load test": "none", "SLO as code": "optional", "Capacity": "one instance", "Review": "none"}
    page = "## Capacity\n\nTwo instances of 1 CPU."

    assert lines_of(rows, page, "a.md", {}) == [
        Line("Capacity", "one instance", "stated", "“Two instances of 1 CPU.” (a.md)")
    ]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["met", "met"], "ready to be signed"),
        (["met", "stated"], "ready once what is only stated has a link behind it"),
        (["met", "open"], "not ready"),
        ([], "not ready"),
    ],
)
def test_the_verdict(statuses: list[str], verdict: str) -> None:
    card = [{"name": str(n), "status": MARKS[each]} for n, each in enumerate(statuses)]

    assert score(card)["verdict"] == verdict


def test_a_section_of_a_matter_is_quoted_where_no_sentence_names_it() -> None:
    page = "# Checkout\n\n## On call\n\nA primary and a secondary at all hours.\n\n## Else\n\nWords.\n"

    [line] = lines_of({"On call": "primary and secondary"}, page, "checkout.md", {})
    assert (line.status, line.evidence) == (
        "stated",
        "“A primary and a secondary at all hours.” (checkout.md)",
    )
