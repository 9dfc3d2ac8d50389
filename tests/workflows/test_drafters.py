"""The drafters of runbooks and READMEs: few questions, what is known quoted, what is not marked."""

from __future__ import annotations

import pytest

from app.workflows.wants import pages
from app.workflows.wants.repo import means
from app.workflows.wants.runbook import in_words, kind_of
from tests.workflows.books import book


async def test_a_runbook_is_drafted_from_what_is_written_and_three_questions() -> None:
    run = await book("draft a runbook").begin()
    await run.say("HighErrorRate")
    assert run.answer("kind") == "errors"
    assert "Which switch, breaker or fallback" in run.asked
    await run.say("Switch off `quotes`.", "Orders are refused.")

    made = run.file("runbooks/higherrorrate.md")
    assert pages.section(made.content, "mitigate").startswith("Switch off `quotes`.\n\nRoll back if only")
    assert "Rolling back: Release is rolling" in pages.section(made.content, "mitigate")
    assert pages.section(made.content, "is it real").startswith(
        "Orders are refused.\n\n1. Compare the gateway's"
    )
    assert "Rota: Checkout, four people" in pages.section(made.content, "whom to call")
    assert made.content.startswith("# HighErrorRate\n\nA service answers more requests with 5xx than")
    assert "- Runbook like it: runbooks/HighErrorRate.md" in made.content
    assert made.todos == ("severity", "carried out once by somebody who did not write it")
    assert len(run.questions) == 3


async def test_each_answer_stands_in_its_section_where_nothing_is_written() -> None:
    """At most three questions; what was answered leaves no TODO, what was not leaves one."""
    run = await book("draft a runbook").begin("reports")
    await run.say("Odd", "latency", "Stop the exports.", "Pages are slow.", "make rollback")

    made = run.file("runbooks/odd.md")
    assert pages.section(made.content, "mitigate").startswith("Stop the exports.")
    assert "Rolling back: make rollback" in made.content
    assert pages.section(made.content, "is it real").startswith("Pages are slow.")
    assert "the second one to call" in made.todos
    assert not {"what to do first", "how to see the harm, and how many users it hits", "rollback"} & set(
        made.todos
    )
    assert [each.partition("?")[0] for each in run.questions[2:]] == [
        "What can be shed, switched off or scaled when it is slow",
        "What do users notice when this fires, and how do you see how many",
        "How is the last release rolled back, and how long does that take",
    ]  # fmt: skip


async def test_a_runbook_without_answers_is_a_draft_full_of_markers() -> None:
    run = await book("write a runbook").begin("reports")
    await run.agree()

    [made] = run.handed
    assert made.content.startswith("# [TODO: alert]")
    assert (
        len(
            [
                each
                for each in run.questions
                if each.startswith(("Which switch", "What do users", "How is the last", "Who is called"))
            ]
        )
        <= 3
    )


def test_what_prometheus_would_fill_in_is_said_in_words() -> None:
    annotation = "{{ $labels.service }} answers {{ $value | humanizePercentage }} with 5xx"
    assert in_words(annotation, "checkout") == "checkout answers … with 5xx"
    assert in_words("{{$labels.job}} is down", None) == "… is down"


@pytest.mark.parametrize(
    ("alert", "query", "kind"),
    [
        ("HighErrorRate", "", "errors"),
        ("HighLatency", "", "latency"),
        ("PoolNearlyFull", "", "saturation"),
        ("CertificateExpiring", "", "certificate"),
        ("CheckoutDown", "", "absence"),
        ("Odd", "histogram_quantile(0.99, http_request_duration_seconds_bucket)", "latency"),
        ("Odd", "", None),
    ],
)
def test_the_kind_is_told_by_the_name(alert: str, query: str, kind: str | None) -> None:
    assert kind_of(alert, query) == kind


async def test_a_readme_is_drafted_from_blueprint_and_catalog() -> None:
    run = await book("draft a README").begin()
    assert str(run.state.proposed).startswith("Turns a cart into a paid order.")
    await run.say("yes", "make run", "make test", "yes")

    made = run.file("README.md")
    assert "| owner | Checkout, #checkout-team |" in made.content
    assert "    make run" in made.content
    assert "`POST /pay`" in made.content
    assert "helm rollback" in made.content
    assert "runbooks" in made.todos


@pytest.mark.parametrize(
    ("names", "makefile", "expected"),
    [
        (["go.mod"], "", {"language": "Go", "run": "go run ./...", "test": "go test ./..."}),
        (
            ["pyproject.toml"],
            "dev:\n\tx\ntest: dev\n",
            {"language": "Python", "run": "make dev", "test": "make test"},
        ),
        ([], "VAR := run\n", {}),
    ],
)
def test_how_a_repo_is_run(names: list[str], makefile: str, expected: dict[str, str]) -> None:
    assert means(names, makefile, "checkout") == expected
