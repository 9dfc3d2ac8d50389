"""The offline analyst as tables: a context in, an answer out."""

from __future__ import annotations

import pytest

from app.agent.offline import LONGEST_ANSWER, TAG_BELOW, answer
from app.context.models import Context, Resolution, Section, Service, Source

REASON = "No model is configured (set ANTHROPIC_API_KEY)."
CHECKOUT = Service(name="checkout", tier=1, team="payments", repo="acme/checkout", depends_on=("ledger",))
URL = "https://git.example.com/blueprints/services/checkout.md"


def section(heading: str, text: str, score: float = 1.0, path: str = "services/checkout.md") -> Section:
    source = Source(kind="blueprint", title="checkout", path=path, url=URL, revision="abc")
    return Section(source=source, heading=heading, text=text, score=score)


def context(*sections: Section, how: str = "name", missing: tuple[str, ...] = ()) -> Context:
    sources = tuple(dict.fromkeys(each.source for each in sections))
    return Context(
        resolution=Resolution(service=CHECKOUT, how=how), sections=sections, sources=sources, missing=missing
    )


LAUNCH = section("Launch", "Before launch: an SLO, a runbook,\nand a dashboard in Grafana.")


def test_it_names_the_service_and_quotes_the_best_section_with_its_link() -> None:
    told = answer("What do I need before we launch checkout?", context(LAUNCH), reason=REASON)

    assert REASON in told.text
    assert "**checkout** (tier 1, team payments, repo acme/checkout), depends on ledger" in told.text
    assert f"[services/checkout.md]({URL}) · Launch" in told.text
    assert "> Before launch: an SLO, a runbook,\n> and a dashboard in Grafana." in told.text
    assert (told.model, told.offline_reason) == (None, REASON)
    assert told.sources == (LAUNCH.source,)


def test_the_same_question_gets_the_same_answer() -> None:
    first, second = (answer("launch?", context(LAUNCH), reason=REASON) for _ in range(2))

    assert first == second


def test_sections_that_say_little_are_left_out_and_the_best_comes_first() -> None:
    weak, good = section("Weak", "weak words", 0.1), section("Good", "good words", 2.0)

    told = answer("good words?", context(weak, good, LAUNCH), reason=REASON)

    assert told.text.index("Good") < told.text.index("Launch")
    assert "Weak" not in told.text


def test_what_is_missing_is_said() -> None:
    told = answer("launch?", context(LAUNCH, missing=("There is no README.", "No contract.")), reason=REASON)

    assert "**Not found:**\n- There is no README.\n- No contract." in told.text
    assert told.missing == ("There is no README.", "No contract.")


@pytest.mark.parametrize(
    ("question", "sections", "missing", "tagged"),
    [
        ("Which runbook and dashboard before launch?", (LAUNCH,), (), False),
        ("How is kafka partitioned across regions?", (LAUNCH,), ("There is no README.",), True),
        ("anything", (), (), True),
    ],
)
def test_the_sre_team_is_tagged_when_the_documents_hardly_cover_the_question(
    question: str, sections: tuple[Section, ...], missing: tuple[str, ...], tagged: bool
) -> None:
    told = answer(question, context(*sections, missing=missing), reason=REASON)

    assert told.tag_sre is tagged
    assert told.confidence is not None
    assert (told.confidence < TAG_BELOW) is tagged
    assert told.confidence <= 0.7


def test_an_ambiguous_service_is_asked_back() -> None:
    meant = Context(resolution=Resolution(how="ambiguous", candidates=("checkout", "checkout-web")))

    told = answer("Is checkout ready?", meant, reason=REASON)

    assert "Which service do you mean: **checkout** or **checkout-web**?" in told.text
    assert not told.tag_sre


def test_an_unknown_service_gets_the_nearest_names_and_how_to_add_one() -> None:
    meant = Context(resolution=Resolution(how="none", candidates=("checkout",)))

    told = answer("Is chekcout-api ready?", meant, reason=REASON)

    assert "The nearest names are **checkout**." in told.text
    assert "services.yaml" in told.text
    assert "- name: my-service" in told.text


def test_a_quoted_code_block_that_is_cut_is_closed_and_the_answer_fits() -> None:
    long = section("Run", "```\n" + "kubectl get pods -n checkout\n" * 60)
    many = context(*(long.model_copy(update={"score": 1.0 + n}) for n in range(9)), missing=("gone",) * 20)

    told = answer("kubectl?", many, reason=REASON)

    assert len(told.text) <= LONGEST_ANSWER
    assert told.text.count("```") % 2 == 0


def test_a_secret_in_a_document_is_not_quoted() -> None:
    told = answer("password?", context(section("Access", "password=hunter2000")), reason=REASON)

    assert "hunter2000" not in told.text
