"""The drafters of runbooks and READMEs: few questions, what is known quoted, what is not marked."""

from __future__ import annotations

import pytest

from app.sources.prometheus import AlertRule
from app.workflows.wants.repo import means
from app.workflows.wants.runbook import kind_of, questions
from tests.workflows.books import book


async def test_a_runbook_is_drafted_from_what_is_written_and_three_questions() -> None:
    run = await book("draft a runbook").begin()
    await run.say("HighErrorRate")
    assert run.answer("kind") == "errors"
    assert "Which switch, breaker or fallback" in run.asked
    await run.say("Switch off `quotes`.", "Orders are refused.")

    made = run.file("runbooks/higherrorrate.md")
    assert "Switch off `quotes`." in made.content
    assert "Orders are refused." in made.content
    assert "Compare the gateway's 5xx rate with the service's own." in made.content
    assert "Rota: Checkout, four people" in made.content
    assert "- Runbook like it: runbooks/HighErrorRate.md" in made.content
    assert "what this alert means, in a sentence" in made.todos
    assert len(run.questions) == 3


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


def test_what_is_written_is_not_asked() -> None:
    rule = AlertRule("A", "up", "inactive", "g", {}, {"description": "Users see errors"})
    page = "Rota: two people. Rollback by helm."

    assert [each["name"] for each in questions("errors", page, rule)] == ["mitigation"]
    assert [each["name"] for each in questions("errors", "", None)] == ["mitigation", "harm", "rollback"]


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
