"""Storms: many incidents at once share threads, each with a reason, and none is lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.investigations.alert import Alert, Severity
from app.investigations.fingerprint import symptoms
from app.investigations.incidents import Delivery, count_storm
from app.investigations.intake import Accepted, Intake
from app.investigations.models import Investigation
from app.investigations.storm import Marks, Stormy, group
from app.investigations.thread import headline
from app.storage.engine import SERVER_SETTINGS, as_json, begin, create_engine, straight
from tests.investigations.conftest import SHOP, STARTED, Rows, alert, intake_on


def stormy(name: str, service: str | None = None, severity: Severity = "P3", **labels: str) -> Stormy:
    return Stormy(name, severity, Marks.of(service, labels))


REST = "it came in the same storm; nothing else is known to connect it with the others"
GROUPS = {
    "nothing": ([], [], {}),
    "one": ([stormy("a", "mail")], [("a",)], {}),
    "the same service": (
        [stormy("a", "mail"), stormy("b", "mail")],
        [("a", "b")],
        {"b": "it is about mail as well"},
    ),
    "what a service needs": (
        [stormy("a", "checkout"), stormy("b", "payments")],
        [("a", "b")],
        {"b": "checkout depends on payments"},
    ),
    "what needs a service": (
        [stormy("a", "payments"), stormy("b", "checkout")],
        [("a", "b")],
        {"b": "checkout depends on payments"},
    ),
    "a chain of dependencies, through what joined before": (
        [stormy("a", "checkout"), stormy("b", "payments"), stormy("c", "payments-db")],
        [("a", "b", "c")],
        {"b": "checkout depends on payments", "c": "payments depends on payments-db"},
    ),
    "a dependency of both": (
        [stormy("a", "web"), stormy("b", "api")],
        [("a", "b")],
        {"b": "api and web both depend on edge"},
    ),
    "one machine": (
        [stormy("a", "mail", node="n1"), stormy("b", "search", node="n1"), stormy("c", node="n1")],
        [("a", "b", "c")],
        {"b": "both have node n1", "c": "both have node n1"},
    ),
    "a machine tells more than a region": (
        [
            stormy("a", "mail", region="eu"),
            stormy("b", "x", node="n1"),
            stormy("c", "y", node="n1", region="eu"),
        ],
        [("a", "b", "c")],
        {"b": REST, "c": "both have node n1"},
    ),
    "nothing but the time": (
        [stormy("a", "mail"), stormy("b", "search"), stormy("c")],
        [("a", "b", "c")],
        {"b": REST, "c": REST},
    ),
    "P1 first, whenever it came": (
        [stormy("a", "mail", "P3"), stormy("b", "mail", "P4"), stormy("c", "mail", "P1")],
        [("c", "a", "b")],
        {"b": "it is about mail as well", "c": "it is about mail as well"},
    ),
}


def depends_on(name: str) -> tuple[str, ...]:
    return {"web": ("edge",), "api": ("edge",)}.get(name) or SHOP.depends_on(name)


@pytest.mark.parametrize("what", GROUPS)
def test_incidents_are_grouped_by_what_connects_them(what: str) -> None:
    incidents, members, because = GROUPS[what]
    groups = group(incidents, depends_on)
    assert [each.members for each in groups] == members
    assert {name: why for each in groups for name, why in each.because.items()} == because


def test_marks_stay_small_however_many_join() -> None:
    marks = Marks.of("s0", {"pod": "p0"})
    for n in range(1000):
        marks = marks.with_those_of(Marks.of(f"s{n}", {"pod": f"p{n}"}))
    assert len(marks.services) == len(marks.labels["pod"]) == 50


SYMPTOMS = [
    ("HighErrorRate", "5xx above 5 %", {"errors"}),
    ("CheckoutP99Latency", "checkout is slow", {"latency"}),
    ("KubePodCrashLooping", "pod restarts", {"restarts"}),
    (None, "Certificate of shop.example expires in 2 days", {"certificate"}),
    (None, "pool-service is slow", {"latency"}),
    (None, "Something is odd", set()),
    ("HikariPoolExhausted", "no connections left", {"connections"}),
    ("TargetDown", "instance unreachable", {"down"}),
]


@pytest.mark.parametrize(("name", "title", "found"), SYMPTOMS)
def test_symptoms_are_read_from_the_rule_s_name_and_the_title(
    name: str | None, title: str, found: set[str]
) -> None:
    assert symptoms(alert(name=name, title=title, service="pool-service")) == found


def test_a_digest_tells_news_from_repetition() -> None:
    def digest(alert: Alert) -> str:
        return Delivery(alert, alert.service, "P3", symptom="").digest

    assert digest(alert()) == digest(alert())
    others = [alert("Q2"), alert(title="x"), alert(status="resolved"), alert(labels={"a": "b"})]
    assert len({digest(each) for each in (alert(), *others)}) == 5


SERVICES = ("checkout", "payments", "payments-db", "stock", "mail", "reports", "warehouse", "search")


async def test_three_hundred_incidents_are_all_there_in_few_threads(
    engine: AsyncEngine, database_url: str, rows: Rows
) -> None:
    other = create_engine(database_url)
    replicas = (intake_on(engine), intake_on(other))
    room = asyncio.Semaphore(20)  # more would wait for a connection for longer than an engine lets them

    async def accept(n: int) -> Accepted:
        severity: Severity = "P1" if n % 25 == 24 else "P4"
        async with room:
            return await replicas[n % 2].accept(alert(f"Q{n}", service=SERVICES[n % 8], severity=severity))

    answers = await asyncio.gather(*map(accept, range(300)))
    await other.dispose()

    assert len({each.investigation_id for each in answers}) == 300
    assert await rows("SELECT count(*) FROM incidents") == [(300,)]
    [(threads, members, told)] = await rows(
        "SELECT count(*) FILTER (WHERE storm_id IS NULL), sum(storm_size), count(grouped_because) FROM investigations"
    )
    # Ten before it was a storm, and one for what nothing connects.
    assert threads in (10, 11)
    assert members == told == 300 - threads
    assert await rows("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'look'") == [(threads,)]
    waiting = await rows(
        "SELECT queueing_lock, count(*) FROM procrastinate_jobs WHERE task_name = 'update_incident' GROUP BY 1"
    )
    assert waiting
    assert all(count == 1 for _, count in waiting)
    assert await rows(
        "SELECT count(*) FROM investigations AS member JOIN investigations AS leader ON leader.id = member.storm_id"
        " WHERE leader.storm_id IS NOT NULL OR leader.severity > member.severity"
        " OR leader.priority < member.priority"
    ) == [(0,)]
    [first, *_] = await rows("SELECT id FROM investigations WHERE storm_size > 0 AND severity = 'P1' LIMIT 1")
    async with begin(engine) as connection:
        leader = await repository.load(connection, UUID(str(first[0])))
    assert leader is not None
    assert leader.members[0].severity == "P1"
    assert [each.severity for each in leader.members] == sorted(each.severity for each in leader.members)
    assert leader.storm_size >= len(leader.members)


async def test_who_marks_a_storm_asks_no_second_time_and_sees_what_others_marked(
    database_url: str, rows: Rows
) -> None:
    counted = {**SERVER_SETTINGS, "track_functions": "pl"}
    engines = [create_engine(database_url, server_settings=counted) for _ in range(2)]
    mine, others = (intake_on(each, incidents=2) for each in engines)

    async def asked() -> int:
        for engine in engines:
            await straight(engine, "SELECT pg_stat_force_next_flush()")
        return int(
            await straight(
                engines[0],
                "SELECT calls FROM pg_stat_user_functions WHERE funcname = 'incident_fires_at_once'",
            )
        )

    async def fires(intake: Intake, number: int) -> None:
        accepted = await intake.accept(alert(f"Q{number}", labels={"alertname": f"Rule{number}"}))
        assert accepted.status == ("queued" if number < 2 else "joined")

    for number in range(12):
        await fires(mine, number)
    # The first of the storm asks who there are, once.
    assert await asked() == 12 + 1
    await fires(others, 12)
    assert await asked() == 12 + 1 + 2
    for number in range(13, 16):
        await fires(mine, number)
    # The first of these joined beside what the other one marked, and the second saw it anew.
    assert await asked() == 12 + 1 + 2 + 3 + 1
    for engine in engines:
        await engine.dispose()
    [(marks,)] = await rows("SELECT marks FROM investigations WHERE storm_size > 0")
    assert marks["labels"]["alertname"] == [f"Rule{number}" for number in (0, *range(2, 16))]


async def test_a_stage_that_holds_its_thread_holds_no_alert_up(engine: AsyncEngine, rows: Rows) -> None:
    intake = intake_on(engine, incidents=2)
    for number in range(4):
        joined = await intake.accept(alert(f"Q{number}", severity="P4", service="mail"))
    [(leader, size)] = await rows("SELECT id, storm_size FROM investigations WHERE storm_size > 0")
    async with begin(engine) as stage:
        await stage.execute(
            text("SELECT FROM investigations WHERE id = :id FOR NO KEY UPDATE"), {"id": leader}
        )
        async with asyncio.timeout(60):
            late = await intake.accept(alert("Q4", severity="P4", service="mail"))
    assert (late.status, late.reason) == ("joined", joined.reason)

    counted = f"SELECT storm_size FROM investigations WHERE id = '{leader}'"
    assert await rows(counted) == [(size,)]
    await count_storm(engine, leader)
    assert await rows(counted) == [(size + 1,)]


async def test_what_marks_a_thread_that_a_stage_holds_waits_no_more_and_marks_it_the_next_time(
    engine: AsyncEngine, rows: Rows
) -> None:
    intake = intake_on(engine, incidents=2)

    async def fires(number: int, **labels: str) -> Accepted:
        return await intake.accept(alert(f"Q{number}", severity="P4", service="mail", labels=labels))

    for number in range(4):
        await fires(number)
    [(leader,)] = await rows("SELECT id FROM investigations WHERE storm_size > 0")
    async with begin(engine) as stage:
        await stage.execute(
            text("SELECT FROM investigations WHERE id = :id FOR NO KEY UPDATE"), {"id": leader}
        )
        async with asyncio.timeout(60):
            assert (await fires(4, node="n1")).status == "joined"
    marks = f"SELECT marks -> 'labels' -> 'node' FROM investigations WHERE id = '{leader}'"
    assert await rows(marks) == [(None,)]
    assert (await fires(5, node="n1")).status == "joined"
    assert await rows(marks) == [(["n1"],)]
    assert "n1" in ((await intake.accept(alert("Q6", service=None, labels={"node": "n1"}))).reason or "")


async def test_a_graver_alert_waits_for_the_stage_that_holds_its_thread(
    engine: AsyncEngine, rows: Rows
) -> None:
    intake = intake_on(engine, incidents=2)
    for number in range(4):
        await intake.accept(alert(f"Q{number}", severity="P4", service="mail"))
    [(leader,)] = await rows("SELECT id FROM investigations WHERE storm_size > 0")
    async with begin(engine) as stage:
        await stage.execute(
            text("SELECT FROM investigations WHERE id = :id FOR NO KEY UPDATE"), {"id": leader}
        )
        grave = asyncio.create_task(intake.accept(alert("Q4", severity="P1", service="mail")))
        assert not (await asyncio.wait({grave}, timeout=0.5))[0]
    assert (await grave).status == "joined"
    assert await rows(f"SELECT severity FROM investigations WHERE id = '{leader}'") == [("P1",)]


async def test_the_database_puts_marks_together_as_we_do(engine: AsyncEngine) -> None:
    many = Marks(tuple(f"s{n}" for n in range(45)), {"pod": tuple(f"p{n}" for n in range(50))}, True)
    incoming = [
        Marks.of("mail", {"node": "n1", "region": "eu"}),
        Marks.of("mail", {"node": "n2"}),
        Marks.of(None, {}),
        Marks(tuple(f"t{n}" for n in range(9)), {"pod": ("p3", "p99")}),
    ]
    for marks in (Marks(), Marks.of("web", {"node": "n2", "zone": "a"}), many):
        for one in incoming:
            given = {"marks": as_json(marks), "its": as_json(one)}
            async with begin(engine) as connection:
                found = await connection.execute(
                    text("SELECT marks_with(CAST(:marks AS jsonb), CAST(:its AS jsonb))"), given
                )
            assert Marks.load(found.scalar_one()) == marks.with_those_of(one)


async def test_a_p1_in_a_storm_is_in_its_thread_at_once(engine: AsyncEngine, rows: Rows) -> None:
    intake = intake_on(engine, incidents=2)
    first = await intake.accept(alert("Q1", severity="P4"))
    await intake.accept(alert("Q2", severity="P4", service="mail"))
    late = await intake.accept(alert("Q3", severity="P1", service="payments"))

    assert late.status == "joined"
    assert late.reason == (
        "Grouped because checkout depends on payments (a storm of more than 2 incidents in 120 s)."
    )
    assert await rows(
        "SELECT storm_id, status FROM investigations WHERE severity = 'P1' AND storm_id IS NOT NULL"
    ) == [(first.investigation_id, "joined")]
    assert await rows("SELECT severity, priority, storm_size FROM investigations WHERE storm_size > 0") == [
        ("P1", 100, 1)
    ]
    assert await rows("SELECT task_name, priority FROM procrastinate_jobs ORDER BY priority DESC, id") == [
        ("look", 100),
        ("update_incident", 100),
        ("look", 70),
    ]


async def test_what_nothing_connects_shares_one_thread_and_says_so(engine: AsyncEngine, rows: Rows) -> None:
    intake = intake_on(engine, incidents=2)
    for n, service in enumerate(("checkout", "mail", "reports", "search", None)):
        answer = await intake.accept(alert(f"Q{n}", service=service, title="odd"))
    assert answer.reason == f"Grouped because {REST} (a storm of more than 2 incidents in 120 s)."
    assert await rows(
        "SELECT service_name, storm_size FROM investigations WHERE storm_id IS NULL ORDER BY 1"
    ) == [
        ("checkout", 0),
        ("mail", 0),
        ("reports", 2),
    ]


async def test_a_storm_ends_when_its_window_has_passed(engine: AsyncEngine, rows: Rows) -> None:
    intake = intake_on(engine, incidents=2)
    for n in range(4):
        await intake.accept(alert(f"Q{n}"))
    await rows(
        "UPDATE investigations SET created_at = now() - interval '130 s', storm_at = now() - interval '130 s'"
    )
    assert (await intake.accept(alert("Q9"))).status == "queued"


async def test_repetitions_make_no_storm(engine: AsyncEngine) -> None:
    intake = intake_on(engine, incidents=2)
    for n in range(5):
        await intake.accept(alert("Q1", title=f"still, {n}"))
    assert (await intake.accept(alert("Q2", service="mail"))).status == "queued"


async def test_a_member_is_resolved_by_itself_and_its_thread_is_told(engine: AsyncEngine, rows: Rows) -> None:
    intake = intake_on(engine, incidents=2)
    for n in range(3):
        await intake.accept(alert(f"Q{n}", service="mail"))
    await rows("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE task_name = 'update_incident'")
    await intake.accept(alert("Q2", status="resolved", started_at=STARTED + timedelta(minutes=1)))
    assert await rows(
        "SELECT resolved_at IS NOT NULL, storm_id IS NULL FROM investigations ORDER BY created_at"
    ) == [
        (False, True),
        (False, True),
        (True, False),
    ]
    assert await rows(
        "SELECT j.args->>'investigation_id' = v.id::text FROM procrastinate_jobs AS j, investigations AS v "
        "WHERE j.task_name = 'update_incident' AND j.status = 'todo' AND v.storm_size > 0"
    ) == [(True,)]


async def loaded(engine: AsyncEngine, investigation_id: UUID) -> Investigation:
    async with begin(engine) as connection:
        found = await repository.load(connection, investigation_id)
    assert found
    return found


async def stormy_thread(engine: AsyncEngine, *services: str) -> tuple[Intake, UUID]:
    """Two that open threads, and one for each service in the first one's, Q0; that one's id."""
    intake = intake_on(engine, incidents=2)
    first = await intake.accept(alert("Q0", service="checkout"))
    await intake.accept(alert("Q1", service="search"))
    for number, service in enumerate(services, 2):
        assert (await intake.accept(alert(f"Q{number}", service=service))).status == "joined"
    assert first.investigation_id
    return intake, first.investigation_id


async def over(intake: Intake, *keys: str) -> None:
    for key in keys:
        await intake.accept(alert(key, status="resolved"))


OVER = "SELECT resolved_at IS NOT NULL FROM investigations WHERE storm_size > 0"


@pytest.mark.parametrize("order", [("Q0", "Q2", "Q3"), ("Q3", "Q0", "Q2"), ("Q2", "Q3", "Q0")])
async def test_a_storm_is_over_with_the_last_of_its_incidents_whichever_that_is(
    engine: AsyncEngine, rows: Rows, order: tuple[str, ...]
) -> None:
    intake, leader = await stormy_thread(engine, "payments", "stock")
    for number, key in enumerate(order):
        assert await rows(OVER) == [(False,)]
        shown = headline(await loaded(engine, leader))
        assert (shown.state, shown.over, shown.incidents) == ("investigating", number, 3)
        await over(intake, key)
    assert await rows(OVER) == [(True,)]
    assert headline(await loaded(engine, leader)).state == "resolved"


async def test_the_last_two_ends_of_a_storm_at_once_end_it(
    engine: AsyncEngine, database_url: str, rows: Rows
) -> None:
    other = create_engine(database_url)
    for _ in range(5):
        intake, _leader = await stormy_thread(engine, "payments", "stock")
        await over(intake, "Q0")
        await asyncio.gather(over(intake, "Q2"), over(intake_on(other), "Q3"))
        assert await rows(OVER) == [(True,)]
        await rows("TRUNCATE incidents, investigations CASCADE")
    await other.dispose()


async def test_what_joins_a_storm_that_was_over_lets_it_burn_on(engine: AsyncEngine, rows: Rows) -> None:
    intake, leader = await stormy_thread(engine, "payments")
    await over(intake, "Q0", "Q2")
    assert await rows(OVER) == [(True,)]
    await intake.accept(alert("Q9", service="payments-db", severity="P1"))
    assert await rows(OVER) == [(False,)]
    assert (await loaded(engine, leader)).resolved_at is None


async def test_a_twin_of_a_member_keeps_the_storm_burning(engine: AsyncEngine, rows: Rows) -> None:
    intake, leader = await stormy_thread(engine, "payments")
    twin = await intake.accept(alert("G1", source="grafana", service="payments"))
    assert twin.status == "joined"
    await over(intake, "Q0", "Q2")
    assert await rows(OVER) == [(False,)]
    found = await loaded(engine, leader)
    assert [each.because for each in found.members] == [
        "same service and symptom as PagerDuty incident Q2",
        "checkout depends on payments",
    ]
    assert (found.shown, found.over) == (3, 2)


async def test_a_storm_counts_all_and_lists_the_gravest_that_burn_first(engine: AsyncEngine) -> None:
    intake, leader = await stormy_thread(engine, *["payments"] * 4, *["stock"] * 3)
    await intake.accept(alert("Q20", service="stock", severity="P1"))
    await intake.accept(alert("Q21", service="stock", severity="P1"))
    await over(intake, "Q20", "Q2")

    async with begin(engine) as connection:
        found = await repository.load(connection, leader, most_members=4)
    assert found
    assert [each.incident_key for each in found.members] == ["Q21", "Q3", "Q4", "Q5"]
    told = headline(found)
    assert (told.incidents, told.over) == (10, 2)
    assert told.storm
    assert told.storm.reasons == {
        "": 1,
        "checkout depends on payments": 1,
        "it is about payments as well": 3,
        "checkout depends on stock": 1,
        "it is about stock as well": 4,
    }
