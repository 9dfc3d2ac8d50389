"""Threads that go on: resolved, fired again, told by two sources, in a storm, waiting too long."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from app.playground.slack.faults import CallFault
from app.playground.slack.records import Message
from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import Incident, diagnosis, incident, told
from tests.fakes.script import say

LOOKED = "SELECT count(*) FROM investigations WHERE status = 'looked'"
SERVICES = ("checkout", "payments", "inventory", "notifications", "search", "ledger")


async def test_what_is_over_says_so_in_its_headline(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        await one.investigated()
        answered = await one.page(state="resolved")
        assert answered["status"] == "joined"
        await one.seen("Resolved at")
        assert "resolved" in told(one.said("root")).lower()
        assert len(one.said("final")) == 1


async def test_what_is_over_before_its_diagnosis_stays_over_in_the_headline(stack: Stack) -> None:
    async with incident(stack) as one:
        over = asyncio.Event()
        one.model.script.add(say("", diagnosis(), waits_for=over))
        await one.page()
        async with asyncio.timeout(60):
            while not one.model.requests:
                await asyncio.sleep(0.05)
        await one.page(state="resolved")
        over.set()
        await one.ended()
        await one.becomes("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo','doing')", [(0,)])
        assert "Resolved" in told(one.said("root"))
        assert [each.text for each in one.said("note") if "Resolved at" in each.text]
        assert len(one.said("final")) == 1


async def test_what_is_over_before_its_thread_is_there_is_told_in_it(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        stack.slack.faults.calls.add("chat.postMessage", CallFault.slow(1))
        await one.page()
        await one.page(state="resolved")
        await one.ended()
        await one.seen("Resolved at")


async def test_what_fires_again_joins_its_investigation(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        first = await one.page()
        again = await asyncio.gather(*(one.page() for _ in range(5)))
        assert {each["status"] for each in again} == {"joined"}
        assert {each["investigation_id"] for each in again} == {first["investigation_id"]}
        await one.ended()
        assert len(one.roots()) == 1


async def test_what_fires_after_it_was_over_is_a_new_investigation_that_knows_of_the_first(
    stack: Stack,
) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()), say("", diagnosis()))
        await one.investigated()
        await one.page(state="resolved")
        again = one.sim.alert()
        again["alerts"][0]["startsAt"] = datetime.now(UTC).isoformat()
        assert (await one.page(payload=again))["status"] == "queued"
        await one.ended(2)
        assert len(one.roots()) == 2
        [(before,)] = await stack.rows(
            "SELECT brief -> 'before' FROM investigations ORDER BY created_at DESC LIMIT 1"
        )
        assert before["happened"]


async def test_two_sources_that_tell_of_one_thing_are_one_investigation(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        first = await one.page("alertmanager")
        second = await one.page("pagerduty")
        assert second["status"] == "joined"
        assert second["investigation_id"] == first["investigation_id"]
        await one.ended()
        await one.seen("pagerduty tells of it too")
        assert len(one.roots()) == 1
        assert len(one.said("final")) == 1


async def test_a_storm_is_grouped_and_told_in_few_threads(stack: Stack) -> None:
    async with incident(stack, model=False, STORM_INCIDENTS="2") as one:
        alerts = [
            one.alert(service, f"Rule{number}", labels={"severity": "critical" if number == 4 else "warning"})
            for number in range(5)
            for service in SERVICES
        ]
        answers = [await one.page(payload=each) for each in alerts]
        assert len({each["investigation_id"] for each in answers}) == 30
        [(alone,)] = await stack.rows("SELECT count(*) FROM investigations WHERE storm_id IS NULL")
        assert alone <= 4
        await one.ended(alone, 200)
        await idle(one)
        assert len(one.roots()) == alone
        counted = await stack.rows(
            "SELECT s.thread_ts, count(*), count(*) FILTER (WHERE m.severity = 'P1' AND m.id <> v.id)"
            "  FROM investigations AS v JOIN sessions AS s ON s.id = v.session_id"
            "  JOIN investigations AS m ON v.id IN (m.id, m.storm_id) GROUP BY 1"
        )
        for thread_ts, incidents, p1s in counted:
            [root] = [each for each in one.roots() if each.ts == thread_ts]
            head, *lines = storm_of(root)
            assert head.startswith(f"*{incidents} incidents*, grouped because")
            severities = [line.split("*")[1] for line in lines if line.startswith("• ")]
            assert severities == ["P1"] * p1s + ["P3"] * (len(severities) - p1s)
            left = incidents - len(severities)
            assert not left or lines[-1].startswith(f"… and {left} more: ")
            # Nobody is notified of a headline that is edited.
            notes = [each.text for each in one.said("note") if each.thread_ts == thread_ts]
            assert all("joined this storm" in each for each in notes)
            assert 1 <= len(notes) <= p1s
            assert sum(int(each.split()[1].replace("A", "1")) for each in notes) == p1s
        assert "checkout depends on inventory" in told(one.roots())


async def test_a_storm_is_over_when_the_last_of_it_is(stack: Stack) -> None:
    async with incident(stack, model=False, STORM_INCIDENTS="2") as one:
        alerts = [one.alert(service, "Rule") for service in SERVICES]
        alerts.append(one.alert("inventory", "Grave", labels={"severity": "critical"}))
        for each in alerts:
            await one.page(payload=each)
        await idle(one)
        # The first two have threads of their own, opened in either order.
        root = max(one.roots(), key=lambda each: len(storm_of(each)))
        head, grave, *_ = storm_of(root)
        many = int(head.split()[0].strip("*"))
        assert "*P1*" in grave

        for each in alerts[:-1]:
            assert (await one.page(payload=each | {"status": "resolved"}))["status"] == "joined"
        await idle(one)
        burning = shown_now(one, root)
        assert f"evidence only, {many - 1} of {many} over" in burning.text
        assert storm_of(burning)[1] == grave
        assert all(line.startswith("• ☑️") for line in storm_of(burning)[2:])
        assert not ended_in(one, root)

        await one.page(payload=alerts[-1] | {"status": "resolved"})
        await idle(one)
        assert shown_now(one, root).text.endswith(": resolved")
        assert len(ended_in(one, root)) == 1


async def idle(one: Incident) -> None:
    """Wait until nothing is left to do, what is put off for some seconds included."""
    left = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    await one.becomes(left, [(0,)], seconds=200)


def ended_in(one: Incident, root: Message) -> list[Message]:
    return [each for each in one.said("note") if "Resolved" in each.text and each.thread_ts == root.ts]


def shown_now(one: Incident, message: Message) -> Message:
    [found] = [each for each in one.roots() if each.ts == message.ts]
    return found


def storm_of(root: Message) -> list[str]:
    """The lines about the storm in a thread's headline."""
    text: str = root.blocks[-1]["text"]["text"]
    return text.split("\n")


async def test_the_gravest_is_diagnosed_first(stack: Stack) -> None:
    async with incident(stack, MAX_CONCURRENT_INVESTIGATIONS="1") as one:
        both_wait = asyncio.Event()
        one.model.script.add(say("", diagnosis(headline="First"), waits_for=both_wait))
        one.model.script.add(say("", diagnosis(headline="Second")), say("", diagnosis(headline="Third")))
        await one.page(payload=one.alert("search"))
        async with asyncio.timeout(60):
            while not one.model.requests:
                await asyncio.sleep(0.05)
        await one.page(payload=one.alert("inventory", labels={"severity": "info"}))
        await one.page()
        await one.becomes(LOOKED, [(2,)])
        both_wait.set()
        await one.ended(3)
        assert await stack.rows("SELECT service_name FROM investigations ORDER BY finished_at") == [
            ("search",),
            ("checkout",),
            ("inventory",),
        ]


async def test_what_waits_too_long_keeps_its_evidence_and_says_so(stack: Stack) -> None:
    async with incident(stack, MAX_CONCURRENT_INVESTIGATIONS="1", ALERT_QUEUE_TTL_SECONDS="600") as one:
        told = asyncio.Event()
        one.model.script.add(say("", diagnosis(), waits_for=told))
        await one.page(payload=one.alert("search"))
        async with asyncio.timeout(60):
            while not one.model.requests:
                await asyncio.sleep(0.05)
        await one.page(payload=one.alert("inventory"))
        await one.becomes(LOOKED, [(1,)])
        await one.has_waited_long("inventory")
        await one.seen("ALERT_QUEUE_TTL_SECONDS")
        told.set()
        await one.ended(2)
        assert await stack.rows("SELECT service_name, status FROM investigations ORDER BY created_at") == [
            ("search", "done"),
            ("inventory", "expired"),
        ]
        assert len(one.said("evidence")) == 2
        assert len(one.said("final")) == 1
        [(report,)] = await stack.rows("SELECT report FROM investigations WHERE status = 'expired'")
        assert "longer for its diagnosis" in report
        assert "| E1 |" in report or "[E1](<http" in report
        assert "\n1. " in report.split("## Causes")[1].split("###")[0]
