"""Which message starts which workflow, what is looked up for it, and how it is said."""

from __future__ import annotations

import asyncio

import pytest

from app.context.catalog import read_catalog
from app.errors import AgentError
from app.knowledge.models import Document, Knowledge
from app.storage.tree import Tree
from app.workflows.actions import Ask
from app.workflows.facts import LARGEST_FACT, Asked, Found, gather
from app.workflows.library import WorkflowLibrary
from app.workflows.of_service import OfService
from app.workflows.wording import offers, people, worded
from tests.workflows.play import FILES, SAMPLES, Play, sample
from tests.workflows.test_engine import CAPPED, at_targets
from tests.workflows.test_reading import from_docs

HANDOVER = "workflows/handover.md"
SLO = "workflows/slo.md"
SLO_SAMPLE = sample()


def knowledge(*more: tuple[str, str]) -> Knowledge:
    texts = {
        SLO: (SAMPLES / "slo.md").read_text("utf-8"),
        HANDOVER: (SAMPLES / "service-handover.md").read_text("utf-8"),
        "workflows/broken.md": "# SLO\nno phases",
        **dict(more),
    }
    return Knowledge(
        "r1",
        Document("system-prompt.md", "", ""),
        workflows=tuple(Document(path, path, text) for path, text in texts.items()),
        artifacts=tuple(Document(path, path, text) for path, text in FILES.items()),
    )


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("let's define SLOs for checkout", SLO),
        ("Define SLOs", SLO),
        ("can you help us define  slos?", SLO),
        ("hey, could we run the SLO sample for payments?", SLO),
        ("start the Service-Handover Interview", HANDOVER),
        ("how do we define SLOs?", None),
        ("what is the SLO sample?", None),
        ("Is the service handover interview any good?", None),
        ("define SLOsphere", None),
        ("for checkout: let's define SLOs", SLO),
        ("We want to define SLOs for checkout please", SLO),
        ("I'd like to do the SLO sample", SLO),
        ("The SLO sample was good", None),
        ("We finished the SLO sample yesterday", None),
        ("I need the SLO sample results of last year", None),
        ("thanks, define SLOs", SLO),
        ("never define SLOs for checkout", None),
        ("what do I need before launch?", None),
        ("define SLOs " + "and a long page that somebody pasted " * 10, None),
    ],
)
def test_a_message_starts_the_workflow_whose_trigger_it_holds(words: str, path: str | None) -> None:
    started = WorkflowLibrary().started(words, knowledge())

    assert (started.path if started else None) == path


def test_the_longest_trigger_counts() -> None:
    other = (
        "workflows/other.md",
        '---\ntriggers: [define SLOs for checkout]\n---\n# X\n## Phase 1\n"Is it so?"\n',
    )

    started = WorkflowLibrary().started("define SLOs for checkout", knowledge(other))
    assert started is not None
    assert started.path == other[0]


class Refusing(AgentError):
    code = "refusing"


async def test_one_lookup_that_fails_costs_the_others_nothing() -> None:
    async def found(asked: Asked) -> Found:
        return Found({"value": asked.answers["target"]})

    async def failing(asked: Asked) -> Found:
        raise Refusing("Prometheus is away.")

    async def slow(asked: Asked) -> Found:
        await asyncio.sleep(5)
        return Found(1)

    async def huge(asked: Asked) -> Found:
        return Found("x" * (LARGEST_FACT + 1))

    lookups = {"found": found, "failing": failing, "slow": slow, "huge": huge}
    asked = Asked("checkout", {"target": 99.9}, {})
    gathered = await gather((*lookups, "unknown"), asked, lookups, seconds=0.05)

    assert gathered.facts == {"found": {"value": 99.9}}
    assert gathered.notices == (
        "I could not look up “failing”: Prometheus is away.",
        "I could not look up “slow” within 0.05 seconds.",
        "What I found for “huge” is too large to keep (60,003 characters).",
        "I cannot look up “unknown” here; what depends on it I ask, or leave as a TODO.",
    )


CATALOG = read_catalog(
    Tree(
        "b1",
        {
            "services.yaml": "services:\n"
            "  - {name: checkout, aliases: [cart-checkout], tier: 1, team: Checkout, depends_on: [payments]}\n"
            "  - {name: payments}\n"
        },
    )
)


async def test_the_catalog_answers_for_a_service() -> None:
    service = OfService(lambda: CATALOG)

    found = await service(Asked("checkout", {}, {}))
    assert found.value == {"name": "checkout", "tier": 1, "team": "Checkout", "depends_on": ["payments"]}
    assert (await service(Asked("payments", {}, {}))).value == {"name": "payments", "callers": ["checkout"]}
    assert [service.name(words) for words in ("Cart Checkout", "the checkout service", "billing")] == [
        "checkout", "checkout", None,
    ]  # fmt: skip


def test_what_is_asked_is_said_with_what_helps_to_answer_it() -> None:
    play = at_targets()
    assert worded(play.said) == (
        "Noted: journeys is **pay, search**.\n\n"
        "**Targets** · phase 2 of 3, question 1 of 4\n\nWhat share of “pay” must succeed?\n\nI propose **99.9 %**; say **yes** to take it."
    )
    play.say("99", "skip", "98", "back")
    assert worded(play.said).endswith(
        "What share of “search” must succeed?\n\nIt is **98 %** now; **skip** keeps that."
    )
    play.say("why?")
    assert worded(play.said).startswith("A target below what search delivers today is no target.")


def test_status_names_the_people_who_answered() -> None:
    play = at_targets().say("99", by="U7").say("status")
    assert people(play.said) == {"U1", "U7"}

    told = worded(play.said, {"U7": "Maya\nLindqvist" + "!" * 200})
    assert "- target of pay: **99 %** (Maya Lindqvist!!!" in told
    assert "- team: **payments** (default)" in told
    assert "- service: **checkout** (somebody)" in told
    assert "!" * 81 not in told
    assert "U1" not in told


def test_questions_are_counted_as_people_meet_them() -> None:
    """What was named at the beginning, is known, or may not be asked any more is no question."""

    def counted(play: Play, *answers: str) -> list[tuple[int, int, int, int]]:
        asked = play.all(Ask)
        for answer in answers:
            asked += play.say(answer).all(Ask)
        return [(each.at.phase, each.at.phases, each.at.number, each.at.total) for each in asked]

    docs = Play(sample("t.md", from_docs()), facts={"service": {"name": "checkout", "team": "payments"}})
    assert counted(docs.begin("checkout"), "a cache", "no", "1", "5m") == [
        (1, 2, 1, 2), (1, 2, 2, 2), (2, 2, 1, 2), (2, 2, 2, 2),
    ]  # fmt: skip
    capped = Play(sample("t.md", CAPPED))
    assert counted(capped.begin(), "skip", "x", "z") == [(1, 2, 1, 2), (1, 2, 2, 2), (2, 2, 1, 1)]
    ahead = Play(sample("t.md", CAPPED)).begin().say("c: 3", "1")
    assert counted(ahead) == [(1, 2, 2, 3)]
    assert worded(capped.begin().say("1", "2").said).endswith("**Two** · phase 2 of 2\n\nWhat is the d?")


def test_a_refused_answer_gets_the_reason_an_example_and_a_reminder_with_the_buttons() -> None:
    play = at_targets().say("150")

    assert worded(play.said) == (
        "Target of pay: 150 % is above 100 %, the most there may be. For example: 90\n\n"
        "**Targets** · phase 2 of 3, question 1 of 4 · What share of “pay” must succeed? **yes** takes **99.9 %**."
    )
    assert offers(play.said) == (("Take 99.9 %", "target[pay]: 99.9"),)
    play.say("99", "skip", "98", "back", "ninety")
    assert worded(play.said).endswith("What share of “search” must succeed? **skip** keeps 98 %.")
    play.say("status")
    assert worded(play.said).endswith(
        "What share of “search” must succeed?\n\nIt is **98 %** now; **skip** keeps that."
    )


def test_the_reminder_of_a_long_question_is_the_sentence_that_asks_with_its_choices() -> None:
    text = (
        "# T\n## Phase 1: Format\n```fields\n- name: format\n  choices: {datadog: Datadog SLO, prom: Rules}\n"
        "  question: |-\n    It burned 3.5 times. Twice on a Monday.\n\n    Which one? Say more: `x`.\n"
        "- name: who\n  type: service\n  question: Name the service.\n```\n"
    )
    play = Play(sample("t.md", text)).begin().say("grafana")

    assert worded(play.said) == (
        "Format: Please choose one of these: datadog, prom. For example: datadog\n\n"
        "**Format** · phase 1 of 1, question 1 of 2 · Which one? 1. Datadog SLO; 2. Rules."
    )
    assert [label for label, _ in offers(play.said)] == ["Datadog SLO", "Rules"]
    play.say("2", "the one & only")
    assert worded(play.said).endswith("question 2 of 2 · who?")


def test_an_answer_that_ends_a_sentence_is_noted_with_one_full_stop() -> None:
    play = at_targets().say("99", "Slow on Mondays.")
    assert worded(play.said).startswith("Noted: note of pay is **Slow on Mondays.**\n")
    play.say("note of pay: Slow!")
    assert worded(play.said).startswith("Noted: note of pay is **Slow!** (instead of Slow on Mondays.).\n")


def test_an_address_is_noted_bare() -> None:
    play = at_targets().say("99", "https://wiki.acme.example/pay")
    assert "note of pay is https://wiki.acme.example/pay.\n" in worded(play.said)


def test_status_names_the_phases_whose_questions_are_not_known_yet() -> None:
    assert "- · Targets: nothing to ask so far" in worded(
        Play(SLO_SAMPLE).begin("checkout").say("status").said
    )


def test_choices_are_numbered_and_labels_are_shown() -> None:
    text = "# T\n## Phase 1: Format\n```fields\n- name: format\n  choices: {datadog: Datadog SLO, prom: Rules}\n- name: x\n```\n"
    play = Play(sample("t.md", text)).begin()
    assert worded(play.said).endswith("What is the format?\n\n1. Datadog SLO\n2. Rules")
    play.say("1")
    assert worded(play.said).startswith("Noted: format is **Datadog SLO**.")
