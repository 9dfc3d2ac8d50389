"""From a page to a diagnosis, the whole program over: what a person finds in the thread."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import pytest

from app.playground.stack import Fault
from app.playground.stack.scenarios import SCENARIOS
from tests.acceptance.conftest import MAYA, Stack
from tests.acceptance.investigating import INCIDENTS, Incident, diagnosis, incident, told
from tests.fakes.script import call, conclude, overloaded, rate_limited, say, wrong_key

ERRORS = 'sum by (service) (rate(http_requests_total{status=~"5.."}[2m]))'


async def answering(one: Incident, requests: int = 1) -> None:
    """Wait until the model has been asked so often."""
    async with asyncio.timeout(60):
        while len(one.model.requests) < requests:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_page_becomes_a_thread_with_evidence_and_a_diagnosis(stack: Stack, scenario: str) -> None:
    async with incident(stack, scenario) as one:
        one.model.script.add(say("I test it.", call("promql", query=ERRORS)), say("", diagnosis()))
        await one.investigated()
        thread = await one.with_files()

        [evidence], [final] = one.said("evidence"), one.said("final")
        assert [thread[0].ts, evidence.ts, final.ts] == sorted(
            each.ts for each in (thread[0], evidence, final)
        )
        assert "Candidates" in told([evidence])
        assert "A diagnosis follows." in told([evidence])
        assert "checkout refuses payments since its newest version" in told([final])
        assert "The newest version of checkout." in told([thread[0]])
        assert any(each.files for each in thread)
        assert await stack.rows("SELECT status, error_code FROM investigations") == [("done", None)]
        assert await stack.rows("SELECT name, failed FROM tool_calls") == [("promql", False)]
        [(report,)] = await stack.rows("SELECT report FROM investigations")
        assert "## Token Usage" in report
        found = await stack.rows("SELECT label, link IS NOT NULL FROM evidence")
        for label, has_page in found:
            assert f"[{label}](<http" in report or not has_page
        [(asked,)] = await stack.rows("SELECT label FROM evidence ORDER BY id DESC LIMIT 1")
        assert asked in report.split("## Evidence")[1].split("## Causes")[0]
        assert "[Slack](<http" in report
        assert "[alertmanager](<http" in report
        assert {each.method for each in one.sim.asked} == {"GET"}


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_without_a_model_the_evidence_names_the_cause(stack: Stack, scenario: str) -> None:
    async with incident(stack, scenario, model=False) as one:
        await one.investigated()
        truth = SCENARIOS[scenario].truth
        assert truth.service in told([*one.said("evidence"), *one.said("final")])
        [(brief,)] = await stack.rows("SELECT brief FROM investigations")
        cause = brief["likely_cause"]["text"]
        assert not any(innocent in cause for innocent in truth.innocent)
        assert one.written == ([] if brief["confidence"] >= 0.5 else ["POST /v2/enqueue"])


async def blinded(one: Incident) -> None:
    """Nothing that could tell of a cause answers."""
    for system in ("prometheus", "loki", "tempo", "argocd", "kubernetes"):
        one.sim.faults.set(system, Fault.failing(503))


async def test_without_a_model_a_page_nobody_understands_calls_people(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        await blinded(one)
        await one.investigated()
        assert one.written == ["POST /v2/enqueue"]
        assert "not sure of the cause" in told(one.said("note"))
        assert "no model is configured" in told(one.said("final")).lower()


async def test_without_a_model_what_pagerduty_paged_about_is_escalated_there(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        await blinded(one)
        await one.investigated("pagerduty")
        assert [each.partition("/")[0] for each in one.written] == ["PUT ", "POST "]
        assert "acknowledged" not in str(one.sim.written)


async def test_without_a_model_nothing_is_promised_and_nothing_said_twice(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        await one.investigated()
        [evidence], [final] = one.said("evidence"), one.said("final")
        assert "A diagnosis follows." not in told([evidence])
        assert final.text.startswith("No model is configured: this is what the evidence alone says.")
        assert "What do I do right now?" not in told([final])
        assert len(told([final])) < len(told([evidence])) / 2
        assert one.said("root")[0].text.endswith(": evidence only")
        assert "Diagnosed" not in told(one.said("root"))
        assert "Likely cause by the evidence alone" in told(one.said("root"))
        await pressed(one, "correct")
        await one.becomes("SELECT correct FROM outcomes", [(True,)])
        await one.page(state="resolved")
        await one.seen("Resolved at")
        [(status, report)] = await stack.rows("SELECT status, report FROM investigations")
        assert status == "done"
        assert "no model is configured" in report


async def test_the_model_is_given_the_digest_and_no_raw_data(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated()
        [request] = one.model.requests
        first = str(request["messages"][0]["content"])
        assert "<investigation>" in first
        assert "E1 [symptom" in first
        assert len(first) < 26_000
        assert {"promql", "logql", "traces", "kubernetes", "deploy_history", "runbook_search"} <= {
            each["name"] for each in request["tools"]
        }


async def test_a_service_nobody_knows_is_investigated_by_its_labels(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.page(payload=one.alert("mystery-box"))
        await one.ended()
        assert "mystery-box is not in the catalog" in told(one.said("evidence"))
        assert "mystery-box is not in the catalog" in str(one.model.requests[0]["messages"])
        assert one.said("final")


async def test_an_alert_without_a_service_is_looked_at_by_its_labels_alone(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.page(payload=one.alert(None, labels={"namespace": "shop"}))
        await one.ended()
        shown = told(one.said("evidence"))
        assert "looked at by namespace and the query it fires on alone" in shown
        assert "What the alert measures" in shown
        assert "the service" not in shown
        assert one.said("final")


# -- whom it calls by name -------------------------------------------------------------------------------


ON_CALL = "<@U0MAYA> you are on call"


async def test_whoever_is_on_call_is_told_by_name_when_it_cannot_wait(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()), say("", diagnosis()))
        await one.investigated("pagerduty")
        assert ON_CALL in told(one.said("final:1"))
        await pressed(one, "dig_deeper")
        await one.becomes("SELECT status, round FROM investigations", [("done", 2)])
        assert ON_CALL not in told(one.said("final:2"))
        assert await stack.rows("SELECT 1 FROM investigations WHERE observations::text LIKE '%@acme%'") == []


async def test_nobody_is_called_by_name_for_what_can_wait(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.page(payload=one.alert("reports", labels={"severity": "info"}))
        await one.ended()
        assert await stack.rows("SELECT severity IN ('P1', 'P2') FROM investigations") == [(False,)]
        assert "on call;" not in told(one.said("final"))


async def test_who_is_not_known_in_slack_is_told_by_their_plain_name(stack: Stack) -> None:
    stack.slack.workspace.scopes.discard("users:read.email")
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated("pagerduty")
        assert "On call: Maya Lindqvist" in told(one.said("final"))
        assert ON_CALL not in told(one.said("final"))


# -- how sure it is --------------------------------------------------------------------------------------


async def test_an_unsure_diagnosis_goes_to_the_strong_model_once(stack: Stack) -> None:
    async with incident(stack, MODEL="claude-haiku-5-5", MODEL_STRONG="claude-sonnet-5-5") as one:
        one.model.script.add(say("", diagnosis(0.3)), say("", diagnosis(0.8, headline="Sure now")))
        await one.investigated()
        assert [each["model"] for each in one.model.requests] == ["claude-haiku-5-5", "claude-sonnet-5-5"]
        assert "Sure now" in told(one.said("final"))
        assert one.written == []


@pytest.mark.parametrize(("confidence", "called"), [(0.3, True), (0.8, False)], ids=["unsure", "sure"])
async def test_a_second_look_that_fails_leaves_what_the_first_concluded(
    stack: Stack, confidence: float, called: bool
) -> None:
    async with incident(stack, MODEL="claude-haiku-5-5", MODEL_STRONG="claude-sonnet-5-5") as one:
        first = diagnosis(confidence, headline="The newest version it is", several_services=True)
        one.model.script.add(say("", first), wrong_key())
        await one.investigated()
        final = told(one.said("final"))
        assert "The newest version it is" in final
        assert "A second look by the strong model failed" in final
        assert one.said("root")[0].text.endswith(": diagnosed")
        assert one.written == (["POST /v2/enqueue"] if called else [])


async def test_a_diagnosis_that_stays_unsure_calls_people_and_says_so(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis(0.3)), say("", diagnosis(0.3)))
        await one.investigated()
        assert one.written == ["POST /v2/enqueue"]
        assert "not sure of the cause" in str(one.sim.written[0].body)
        assert "I sent an event to PagerDuty" in told(one.said("note"))
        assert "not sure of the cause" in told(one.said("note"))
        [(report,)] = await stack.rows("SELECT report FROM investigations")
        assert "PagerDuty" in report


async def test_an_incident_of_pagerduty_is_escalated_there_and_not_acknowledged(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis(0.3)), say("", diagnosis(0.3)))
        await one.investigated("pagerduty")
        assert one.sim.written
        assert all("/v2/enqueue" not in each for each in one.written)
        assert "acknowledged" not in str(one.sim.written)


async def test_an_incident_that_pagerduty_has_too_is_escalated_there_whoever_came_first(stack: Stack) -> None:
    async with incident(stack) as one:
        both_told = asyncio.Event()
        one.model.script.add(say("", diagnosis(0.3), waits_for=both_told), say("", diagnosis(0.3)))
        await one.page("alertmanager")
        assert (await one.page("pagerduty"))["status"] == "joined"
        both_told.set()
        await one.ended()
        id = one.sim.alert("pagerduty")["event"]["data"]["id"]
        assert one.written == [f"PUT /incidents/{id}", f"POST /incidents/{id}/notes"]
        await pressed(one, "acknowledge")
        await one.seen("acknowledged this")
        await noted_by_a_person(one, f"/incidents/{id}/notes", "The pool was too small")
        await one.page("pagerduty", "resolved")
        learned = "SELECT cause, source FROM outcomes"
        await one.becomes(learned, [("The pool was too small", "resolution_note")])


async def noted_by_a_person(one: Incident, path: str, words: str) -> None:
    note = {"note": {"content": words}}
    async with (
        aiohttp.ClientSession() as session,
        session.post(one.sim.urls["pagerduty"] + path, json=note) as answer,
    ):
        assert answer.ok


@pytest.mark.parametrize("failing", [wrong_key(), overloaded(), rate_limited(0)], ids=["key", "busy", "rate"])
async def test_a_model_that_fails_leaves_the_evidence_and_calls_people(stack: Stack, failing: object) -> None:
    async with incident(stack) as one:
        one.model.script.add(*[failing] * 9)  # type: ignore[list-item]
        await one.page()
        await one.ended()
        [final] = one.said("final")
        first = final.blocks[0]["text"]["text"]
        assert re.fullmatch(r"⚠️ No model concluded: .+[^.]\. What follows is the evidence brief\.", first)
        assert final.text.startswith(first)
        assert "Candidates" in told([final])
        assert "🔎 " not in told([final]).replace("🔎 Dig deeper", "")
        assert one.said("root")[0].text.endswith(": diagnosis failed")
        assert one.written == ["POST /v2/enqueue"]


async def test_a_diagnosis_that_failed_is_none_in_the_headline_whoever_writes_it_later(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(*[wrong_key()] * 9)
        await one.page()
        await one.ended()
        again = one.sim.alert()
        await one.page(payload=again)
        await one.page("pagerduty")
        await one.seen("pagerduty tells of it too")
        assert one.said("root")[0].text.endswith(": diagnosis failed")


async def test_without_budget_the_evidence_stands_and_people_are_called(stack: Stack) -> None:
    async with incident(stack, MAX_TOKENS_PER_HOUR="10") as one:
        await one.investigated()
        assert one.model.requests == []
        assert "The budget of this hour" in told(one.said("final"))
        assert "The budget of this hour" in str(one.sim.written[0].body)
        assert "The budget of this hour" in told(one.said("note"))
        [(report,)] = await stack.rows("SELECT report FROM investigations")
        assert "Budget Exceeded: yes" in report


SPEND_THIS_HOUR = """
INSERT INTO budget_windows ("window", spent_tokens)
SELECT to_char(now() AT TIME ZONE 'UTC' + more * interval '1 hour', '"hour:"YYYY-MM-DD"T"HH24'), 100000000
  FROM generate_series(0, 1) AS more
    ON CONFLICT ("window") DO UPDATE SET spent_tokens = excluded.spent_tokens
"""
"""And the next one, which may begin meanwhile."""


async def test_what_runs_when_the_hour_is_spent_goes_on(stack: Stack) -> None:
    async with incident(stack, MAX_TOKENS_PER_HOUR="100000000") as one:
        one.model.script.add(
            say("", call("promql", query=ERRORS), waits_for=(spent := asyncio.Event())), say("", diagnosis())
        )
        await one.page()
        await answering(one)
        async with stack.engine.begin() as connection:
            await connection.exec_driver_sql(SPEND_THIS_HOUR)
        await one.page(payload=one.alert("inventory"))
        spent.set()
        await one.ended(2)
        finals = told(one.said("final"))
        assert "checkout refuses payments" in finals
        assert "The budget of this hour" in finals
        assert len(one.model.requests) == 2


async def test_a_model_that_takes_too_long_is_left_and_people_are_called(stack: Stack) -> None:
    async with incident(stack, INVESTIGATION_TIMEOUT_SECONDS="1") as one:
        one.model.script.add(say("", diagnosis(), first_token_seconds=20))
        await one.investigated()
        assert "INVESTIGATION_TIMEOUT_SECONDS" in told(one.said("final"))
        assert "ran out of time" in str(one.sim.written[0].body)


async def test_the_thread_says_that_the_diagnosis_waits_for_the_model_and_until_when(stack: Stack) -> None:
    async with incident(stack, MODEL_SILENCE_SECONDS="120") as one:
        answers = asyncio.Event()
        one.model.script.add(say("", diagnosis(), waits_for=answers))
        await one.page()
        await one.seen("It waits until ")
        assert "⏳ The diagnosis has been waiting for the model since " in told(one.said("waits"))
        answers.set()
        await one.ended()
        [note] = one.said("waits")
        assert note.text.startswith("✅ The model claude-haiku-5-5 answered after ")
        assert "checkout refuses payments" in told(one.said("final"))


async def test_the_tool_budget_ends_in_a_brief_of_what_is_there(stack: Stack) -> None:
    async with incident(stack, MAX_TOOL_CALLS="2") as one:
        asks = [call("promql", query=f"{ERRORS} + {n}") for n in range(4)]
        one.model.script.add(say("", *asks), say("", diagnosis()))
        await one.investigated()
        assert await stack.rows("SELECT count(*) FROM tool_calls WHERE NOT failed") == [(2,)]
        assert "checkout refuses payments" in told(one.said("final"))


async def test_a_follow_up_works_after_a_diagnosis_that_was_cut_off(stack: Stack) -> None:
    """The transcript ends with a call nobody answered."""
    async with incident(stack, INVESTIGATION_TIMEOUT_SECONDS="2") as one:
        one.model.script.add(
            say("", call("promql", query=ERRORS), waits_for=(hangs := asyncio.Event())),
            say("It is well.", conclude(0.9)),
        )
        await one.page()
        await answering(one)
        one.sim.faults.set("prometheus", Fault.hanging())
        hangs.set()
        await one.ended()
        one.sim.faults.clear()
        assert "INVESTIGATION_TIMEOUT_SECONDS" in told(one.said("final"))
        ts = await stack.slack.say(MAYA, INCIDENTS, "what about the database?", one.root)
        answers = await stack.answered(INCIDENTS, ts, one.root)
        assert "It is well." in told(answers)


# -- what people do --------------------------------------------------------------------------------------


async def pressed(one: Incident, button: str, part: str = "final:1", user: str = MAYA) -> None:
    await one.stack.slack.click(user, one.said(part)[0].ts, f"incident_{button}")


async def test_a_confirmed_diagnosis_is_stored_as_an_outcome(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated()
        await pressed(one, "correct")
        await one.seen("confirmed this cause")
        assert await stack.rows("SELECT correct, user_id, source FROM outcomes") == [(True, MAYA, "button")]
        await one.becomes("SELECT user_id FROM audit_log WHERE action = 'outcome'", [(MAYA,)])


async def test_a_wrong_diagnosis_is_told_what_it_really_was(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated()
        await pressed(one, "wrong")
        views = stack.slack.workspace.views
        view = await stack.slack.wait_for(lambda: next(iter(views), ""))
        cause = {"type": "plain_text_input", "value": "The pool of the ledger was full"}
        assert await stack.slack.submit(view, {"cause": {"cause": cause}}) == {}
        await one.becomes(
            "SELECT correct, cause, source FROM outcomes",
            [(False, "The pool of the ledger was full", "modal")],
        )
        await one.seen("The pool of the ledger was full")


async def test_digging_deeper_is_a_second_diagnosis_by_the_strong_model(stack: Stack) -> None:
    async with incident(stack, MODEL="claude-haiku-5-5", MODEL_STRONG="claude-sonnet-5-5") as one:
        one.model.script.add(say("", diagnosis()), say("", diagnosis(0.9, headline="Deeper down")))
        await one.investigated()
        await pressed(one, "dig_deeper")
        await one.seen("Deeper down")
        await one.ended()
        assert len(one.said("final:1")) == len(one.said("final:2")) == 1
        assert one.model.requests[1]["model"] == "claude-sonnet-5-5"
        assert "<investigation>" in str(one.model.requests[1]["messages"])
        assert await stack.rows("SELECT status, round FROM investigations") == [("done", 2)]


async def test_a_deeper_look_that_fails_leaves_what_was_concluded_and_says_so(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(
            say("", diagnosis()), wrong_key(), say("Still the newest version.", conclude(0.9))
        )
        await one.investigated()
        [(before,)] = await stack.rows("SELECT brief - 'round' - 'ending' FROM investigations")
        await pressed(one, "dig_deeper")
        await one.seen("The deeper look failed")
        await one.ended()
        assert one.said("final:2") == []
        assert "The diagnosis above stands." in told(one.said("failed:2"))
        assert await stack.rows("SELECT brief - 'round' - 'ending' FROM investigations") == [(before,)]
        await one.becomes("SELECT status, error_code FROM investigations", [("done", "no_deeper_look")])
        assert one.said("root")[0].text.endswith(": diagnosed")
        [(report,)] = await stack.rows("SELECT report FROM investigations")
        assert "**The deeper look failed:**" in report
        assert before["headline"] in report
        # People are called about it, with what is known; and a follow-up knows both.
        assert "The automatic diagnosis failed." in told(one.said("note"))
        assert "Still the newest version." in await asked(one, "and now?")
        said = str(one.model.requests[-1]["messages"])
        assert "A deeper look failed" in said
        assert "What was concluded before stands." in said


async def test_a_person_escalates_once(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated()
        await pressed(one, "escalate", "evidence")
        await one.seen("escalated this")
        await pressed(one, "escalate", "final:1", user="U0OMAR")
        await one.becomes("SELECT count(*) FROM audit_log WHERE action = 'escalate'", [(2,)])
        assert one.written == ["POST /v2/enqueue"]


async def test_a_person_acknowledges_in_pagerduty(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated("pagerduty")
        await pressed(one, "acknowledge")
        await one.seen("acknowledged this")
        assert "acknowledged" in str(one.sim.written[0].body)


async def test_a_follow_up_goes_on_with_what_was_found(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(
            say("", call("promql", query=ERRORS)),
            say("", diagnosis()),
            say("The database is well.", conclude(0.9)),
        )
        await one.investigated()
        ts = await stack.slack.say(MAYA, INCIDENTS, "what about the database?", one.root)
        answers = await stack.answered(INCIDENTS, ts, one.root)
        assert "The database is well." in told(answers)
        asked = str(one.model.requests[-1]["messages"])
        assert "<investigation>" in asked
        assert "what about the database?" in asked
        assert ERRORS.split("(", maxsplit=1)[0] in asked


async def asked(one: Incident, words: str) -> str:
    """Say something in the incident's thread; what the agent shows in answer."""
    before = {each.ts for each in one.thread()}
    ts = await one.stack.slack.say(MAYA, INCIDENTS, words, one.root)
    return told([each for each in await one.stack.answered(INCIDENTS, ts, one.root) if each.ts not in before])


def attached(one: Incident, begins: str) -> list[str]:
    files = [one.stack.slack.workspace.files[file] for each in one.thread() for file in each.files]
    return [each.content.decode() for each in files if each.name.startswith(begins)]


@pytest.mark.parametrize("model", [True, False], ids=["model", "no model"])
async def test_a_postmortem_is_drafted_where_it_is_asked_for(stack: Stack, model: bool) -> None:
    async with incident(stack, model=model) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated()
        requests = len(one.model.requests)
        said = await asked(one, "can you draft the postmortem?")
        assert "Nobody has said yet what it really was" in said
        await pressed(one, "correct")
        await one.becomes("SELECT correct FROM outcomes", [(True,)])
        assert "Nobody has said" not in await asked(one, "write a postmortem")
        first, second = attached(one, "postmortem-")
        assert first.startswith("# Postmortem (draft): checkout answers")
        assert "What it was, as people found: [TODO]" in first
        assert "What it was, as people found: As diagnosed." in second
        assert len(one.model.requests) == requests


async def test_a_postmortem_that_cannot_be_attached_is_said_and_where_to_get_it(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        await one.investigated()
        stack.slack.workspace.scopes.discard("files:write")
        said = await asked(one, "write a postmortem")
        assert "I could not attach postmortem-" in said
        assert "sre-agent postmortem " in said
        assert attached(one, "postmortem-") == []
