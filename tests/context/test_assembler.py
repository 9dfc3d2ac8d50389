"""What a question is answered from: the right sections, within the budget, and what is missing."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from app.context.assembler import assemble
from app.context.assembler import notices as said_of
from app.context.blueprints import Blueprints, read_blueprints
from app.context.models import Context, Readme, Source
from app.context.papers import Papers
from app.context.resolve import resolve
from app.knowledge.models import Document, Knowledge
from app.storage.tree import Tree

SERVICES = """\
services:
  - name: checkout
    tier: 1
    team: storefront
    repo: https://github.com/acme/checkout
    depends_on: [payments, stock]
    dashboards: [https://grafana.acme.io/d/checkout]
    runbooks: [https://wiki.acme.io/checkout]
  - name: payments
    aliases: [psp]
    tier: 2
    repo: https://github.com/acme/payments
  - name: stock
    tier: seven
  - {name: newborn, depends_on: [payments, stock, nobody]}
"""
FILES = {
    "services.yaml": SERVICES,
    "services/checkout.md": "# Checkout\n\nTakes the money. Fast.\n\n## Launch checklist\n\nLoad test at "
    "400 orders a second.\n\n## History\n\nIt was one program once.\n",
    "services/payments.md": "---\ntitle: Paying\n---\n# Payments\n\nTalks to banks.\n\n## Timeouts\n\n"
    "A bank may take 30 s.\n",
    "contracts/checkout-to-payments.md": "# Checkout to payments\n\n## Timeouts\n\n800 ms a call.\n\n"
    "## Ownership\n\nTeam money.\n",
    "contracts/payments-to-stock.md": "# Payments to stock\n\nOnly while checkout waits: reservations.\n",
    "contracts/README.md": "# Contracts\n\nHow to write a contract about timeouts with checkout.\n",
    "architecture.md": "# Architecture\n\n## Regions\n\nTwo, and failover takes a minute.\n",
    "conventions/naming.md": "# Naming\n\nServices are nouns in lower case.\n",
}
README = Readme(
    text="# checkout\n\nRun it with make.\n\n## Configuration\n\nTIMEOUT_MS is the timeout.\n",
    source=Source(kind="readme", title="README of checkout", path="acme/checkout/README.md", revision="e1"),
)


def tier(level: int) -> Document:
    return Document(
        f"tiers/tier-{level}.md", f"Tier {level}", f"# Tier {level}\n\n## Before launch\n\nTwo on call.\n"
    )


KNOWLEDGE = Knowledge(
    revision="k1",
    system_prompt=Document("system-prompt.md", "System prompt", "Answer."),
    standards=(
        Document(
            "standards/slos.md",
            "SLOs",
            "# SLOs\n\n## Burn rate\n\nPage at 14.4.\n\n## Windows\n\n28 days.\n",
            first_line=4,
        ),
    ),
    tiers=MappingProxyType({1: tier(1), 3: tier(3)}),
    web_url="https://github.com/acme/knowledge/blob/k1",
)


def blueprints(files: dict[str, str] = FILES, *, notice: str | None = None) -> Blueprints:
    return read_blueprints(Tree("b1", files, "https://github.com/acme/blueprints/blob/b1", notice))


def ask(
    question: str,
    *,
    of: Blueprints | None = None,
    readme: Readme | None = README,
    budget: int = 8000,
    given: frozenset[str] = frozenset(),
    thread: str | None = None,
) -> Context:
    of = of or blueprints()
    return assemble(
        question,
        resolve(question, of.catalog, thread_service=thread),
        blueprints=of,
        knowledge=KNOWLEDGE,
        readme=readme,
        papers=Papers(),
        budget_tokens=budget,
        given=given,
    )


def headings(context: Context) -> list[str]:
    return [f"{section.source.kind}: {section.heading}" for section in context.sections]


def test_a_launch_question_gets_the_services_own_documents() -> None:
    context = ask("what do I need before we launch checkout?")
    assert headings(context) == [
        "catalog: checkout",
        "blueprint: Checkout",
        "blueprint: Launch checklist",
        "blueprint: History",
        "contract: Timeouts",
        "contract: Ownership",
        "readme: checkout",
        "readme: Configuration",
        "tier: Before launch",
    ]
    best = max(context.sections, key=lambda section: section.score)
    assert best.heading in ("Launch checklist", "Before launch")


def test_sections_are_verbatim_with_links_to_their_lines() -> None:
    context = ask("how do we page on burn rate of checkout?")
    by_heading = {section.heading: section for section in context.sections}
    launch, burn, entry = (by_heading[h] for h in ("Launch checklist", "Burn rate", "checkout"))
    assert launch.text == "## Launch checklist\n\nLoad test at 400 orders a second."
    assert launch.source.url == "https://github.com/acme/blueprints/blob/b1/services/checkout.md#L5"
    assert (launch.line, launch.id) == (5, "services/checkout.md#5@b1")
    assert burn.source.url == "https://github.com/acme/knowledge/blob/k1/standards/slos.md#L6"
    assert context.sections[0].text == "\n".join(SERVICES.split("\n")[1:8])
    assert entry.source.revision in ("b1", "e1")


def test_each_document_is_a_source_once_and_refs_say_what_was_used() -> None:
    context = ask("what do I need before we launch checkout?")
    assert [source.path for source in context.sources] == [
        "services.yaml",
        "services/checkout.md",
        "contracts/checkout-to-payments.md",
        "acme/checkout/README.md",
        "tiers/tier-1.md",
    ]
    assert context.refs()[1] == {
        "kind": "blueprint",
        "path": "services/checkout.md",
        "url": "https://github.com/acme/blueprints/blob/b1/services/checkout.md",
        "revision": "b1",
        "headings": ["Checkout", "Launch checklist", "History"],
        "sections": [f"services/checkout.md#{line}@b1" for line in (1, 5, 9)],
    }


def test_the_same_question_gets_the_same_context() -> None:
    assert ask("checkout timeouts") == ask("checkout timeouts")


def test_a_contract_between_others_that_names_the_service_counts_when_it_is_relevant() -> None:
    assert "contract: Payments to stock" in headings(ask("who makes reservations for checkout?"))
    assert "contract: Payments to stock" not in headings(ask("what is the history of checkout?"))


def test_a_service_named_beside_the_subject_is_looked_up_too() -> None:
    assert "blueprint: Timeouts" in headings(ask("what timeouts does checkout have towards psp?"))
    assert "blueprint: Timeouts" not in headings(ask("what timeouts does checkout have?"))


@pytest.mark.parametrize("budget", [0, 10, 40, 60, 80, 120, 200, 8000])
def test_the_budget_is_never_exceeded(budget: int) -> None:
    context = ask("what do I need before we launch checkout?", budget=budget)
    assert sum(section.tokens for section in context.sections) <= budget


def test_a_long_document_does_not_crowd_out_the_others() -> None:
    shouting = "# Checkout\n" + "".join(f"\n## Launch {n}\n\n{'Launch it. ' * 90}\n" for n in range(40))
    many = {f"contracts/checkout-to-payments-{n}.md": "# C\n\n" + "Calls. " * 60 for n in range(40)}
    of = blueprints({**FILES, "services/checkout.md": shouting, **many})
    kinds = [section.source.kind for section in ask("launch checkout", of=of, budget=3000).sections]
    assert set(kinds) == {"catalog", "blueprint", "contract", "readme", "tier"}


def test_the_best_section_that_fits_stands_for_a_document_whose_best_one_does_not() -> None:
    page = f"# Checkout\n\nTakes the money.\n\n## Launch\n\n{'Launch and launch. ' * 60}\n"
    of = blueprints({"services.yaml": SERVICES, "services/checkout.md": page})
    assert headings(ask("launch checkout", of=of, readme=None, budget=150)) == [
        "catalog: checkout",
        "blueprint: Checkout",
        "tier: Before launch",
    ]


def test_a_follow_up_gets_what_the_conversation_has_not_seen() -> None:
    first = ask("what do I need before we launch checkout?", budget=125)
    seen = frozenset(section.id for section in first.sections)
    second = ask("and the timeouts?", thread="checkout", given=seen)
    assert not seen & {section.id for section in second.sections}
    assert "readme: Configuration" in headings(second)
    assert headings(ask("thanks!", thread="checkout", given=seen | {s.id for s in second.sections})) == []


def test_a_question_about_no_service_gets_standards_and_a_line_on_each_service() -> None:
    context = ask("at which burn rate do we page?")
    assert "standard: Burn rate" in headings(context)
    lines = [section.text for section in context.sections if section.source.kind == "catalog"]
    assert lines == [
        "checkout: tier 1, team storefront, depends on payments, stock. Takes the money.",
        "payments: tier 2, no team. Talks to banks.",
        "stock: no tier, no team.",
        "newborn: no tier, no team, depends on payments, stock, nobody.",
    ]
    assert "architecture: Regions" in headings(ask("how long does failover take?"))
    assert "convention: Naming" in headings(ask("what is the naming of things in lower case?"))


def test_of_many_services_those_in_question_get_their_line_first() -> None:
    many = "services:\n" + "".join(
        f"  - {{name: svc-{n:03}, team: {'money' if n == 150 else 'x'}}}\n" for n in range(300)
    )
    of = blueprints({"services.yaml": many})
    ambiguous = [s.heading for s in ask("svc-200 or svc-299?", of=of, budget=200).sections]
    assert {"svc-200", "svc-299"} <= set(ambiguous)
    assert "svc-150" in [s.heading for s in ask("what does team money run?", of=of, budget=200).sections]


@pytest.mark.parametrize(
    ("question", "sentences"),
    [
        (
            "checkout",
            [
                "There is no contract between checkout and stock, although checkout depends on it.",
            ],
        ),
        (
            "payments",
            [
                "There is no document for tier 2, which payments is in.",
                "services.yaml names no dashboards for payments.",
                "services.yaml names no runbooks for payments.",
            ],
        ),
        (
            "newborn",
            [
                "newborn has no blueprint: services/newborn.md does not exist.",
                "services.yaml names no repo for newborn, so its README and code are unknown.",
                "No tier is set for newborn.",
                "There are no contracts between newborn and payments, stock, although newborn depends on them.",
                "newborn depends on nobody, which the catalog does not know.",
                "services.yaml names no dashboards for newborn.",
                "services.yaml names no runbooks for newborn.",
            ],
        ),
        ("checkout or newborn", ["It is not clear which service is meant: checkout or newborn."]),
    ],
)
def test_what_no_document_says_is_said(question: str, sentences: list[str]) -> None:
    assert list(ask(question).missing) == sentences


@pytest.mark.parametrize(
    ("readme", "missing", "notices"),
    [
        (Readme(), ["checkout has no README."], []),
        (Readme(notice="GitHub did not answer."), [], ["GitHub did not answer."]),
        (None, [], []),
    ],
)
def test_no_readme_and_no_answer_about_it_are_two_things(
    readme: Readme | None, missing: list[str], notices: list[str]
) -> None:
    context = ask("checkout", readme=readme)
    assert [sentence for sentence in context.missing if "README" in sentence] == missing
    assert list(context.notices) == notices


def test_an_unknown_service_gets_the_nearest_names_and_how_to_add_one() -> None:
    (sentence,) = ask("what does the checkmate service need?").missing
    assert "the nearest names are checkout" in sentence
    assert "`- {name: my-service, tier: 2" in sentence
    assert "The catalog is empty" in ask("checkout", of=Blueprints()).missing[0]


def test_the_reader_learns_what_was_taken_for_granted() -> None:
    assert "No service has exactly the name you wrote; this is about checkout." in ask("chekcout").notices
    stale = blueprints(notice="The blueprints are a copy of Monday.")
    assert ask("checkout", of=stale).notices == ("The blueprints are a copy of Monday.",)
    assert ask("psp or checkout timeouts", thread="checkout").notices == (
        "This is about checkout; otherwise ask about “the payments service”.",
    )
    named = resolve("checkout", blueprints().catalog)
    meant = named.model_copy(update={"how": "word", "candidates": ("checkout", "payments")})
    assert list(said_of(meant, blueprints(), None)) == [
        "This is about checkout; otherwise ask about “the payments service”."
    ]
    assert ask("stock").notices == (
        "services.yaml:14: tier of stock: must be 1, 2, 3 or 4, not 'seven'; it is ignored.",
    )
