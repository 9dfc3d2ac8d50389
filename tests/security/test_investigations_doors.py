"""What webhooks and sources may leave behind, and what they can make us show: no secret, and nothing for long."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx2
import pytest
import yaml
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.forgetting import forget
from app.escalation.escalation import Escalation
from app.investigations import incidents
from app.investigations.chart import alt_text, drawing, title_of
from app.investigations.desk import StoredDesk
from app.investigations.gather import named
from app.investigations.intake import Intake
from app.investigations.intents import StoredIntents
from app.investigations.markdown import code
from app.investigations.questions import Signal
from app.settings import EscalationSettings
from app.signals.models import Series
from app.slack import incident_words
from app.sources.bounded import BoundedTransport
from app.sources.failures import SourceFailed
from app.sources.kubernetes import KubernetesReader
from app.storage.engine import begin
from app.terminal import words
from app.tools.catalogue import Catalogue, Tool, ToolResult, ToolScope
from app.tools.execute import PIECE_CHARACTERS, execute
from app.tools.masking import mask
from app.web.webhooks import newrelic, pagerduty
from tests.fakes.sources import Answer, SourceServer
from tests.investigations.conftest import STARTED, Rows, alert, intake, rows

KEY = "AKIAIOSFODNN7EXAMPLE"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "{url}"}}}}]
users: [{{name: test, user: {{token: t0ken}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
"""


__all__ = ["intake", "rows"]


def desk(engine: AsyncEngine) -> StoredDesk:
    nobody = EscalationSettings.model_validate({})
    return StoredDesk(engine, lambda id: Escalation(nobody, StoredIntents(engine, id), mask=mask))


async def stored(engine: AsyncEngine, *tables: str) -> str:
    async with begin(engine) as connection:
        rows = [
            row[0]
            for table in tables
            for row in await connection.execute(text(f"SELECT to_jsonb(t)::text FROM {table} AS t"))
        ]
    return "\n".join(rows)


# -- what is kept ------------------------------------------------------------------------------------------


async def test_a_refused_payload_is_kept_without_its_secrets(engine: AsyncEngine, intake: Intake) -> None:
    payload = {"event": [{"title": f"key {KEY}", TOKEN: 1}], "from": "maya@acme.dev", "\ud800": "\0"}
    await intake.reject("pagerduty", "event should be a JSON object.", payload)

    kept = await stored(engine, "rejected_webhooks")
    assert "[masked aws key]" in kept
    assert [each for each in (KEY, TOKEN, "maya@") if each in kept] == []


async def test_a_refused_payload_is_gone_after_its_hour(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    for source in ("pagerduty", "grafana"):
        await intake.reject(source, "it is none", {})
    await rows("UPDATE rejected_webhooks SET created_at = now() - interval '61 min' WHERE source = 'grafana'")
    async with begin(engine) as connection:
        await incidents.drop_rejected(connection)

    assert await rows("SELECT source FROM rejected_webhooks") == [("pagerduty",)]


async def test_a_cause_that_a_person_tells_is_kept_without_its_secrets(
    engine: AsyncEngine, intake: Intake
) -> None:
    investigation_id = (await intake.accept(alert())).investigation_id
    assert investigation_id is not None
    await desk(engine).outcome(investigation_id, "U0MAYA", correct=False, cause=f"the key {KEY} ran out")

    kept = await stored(engine, "outcomes", "investigations", "audit_log")
    assert kept.count("[masked aws key] ran out") == 3
    assert KEY not in kept


async def test_who_pressed_a_button_is_forgotten_and_nobody_else(engine: AsyncEngine, intake: Intake) -> None:
    first, second = [
        (await intake.accept(alert(key, service=service))).investigation_id
        for key, service in (("Q1", "checkout"), ("Q2", "mail"))
    ]
    assert first is not None
    assert second is not None
    await desk(engine).outcome(first, "U0MAYA", correct=True, cause=None)
    await desk(engine).outcome(second, "U0MAYA2", correct=True, cause=None)

    await forget(engine, "U0MAYA", pseudonym="forgotten-1")

    kept = await stored(engine, "investigations", "outcomes", "audit_log")
    assert '"U0MAYA"' not in kept
    assert kept.count('"by": "forgotten-1"') == 1
    assert kept.count('"by": "U0MAYA2"') == 1
    assert not (await forget(engine, "U0MAYA")).anything


# -- what a source may answer ------------------------------------------------------------------------------


BOMB = gzip.compress(b'{"items": [' + b" " * (32 << 20) + b"]}")
"""A small body that is a large one."""


async def test_a_cluster_cannot_answer_with_more_than_is_counted(tmp_path: Path) -> None:
    answer = Answer(BOMB, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
    async with SourceServer({"/api/v1/pods": answer}) as cluster:
        config = tmp_path / "kubeconfig"
        config.write_text(KUBECONFIG.format(url=cluster.url), encoding="utf-8")
        reader = KubernetesReader(str(config))
        with pytest.raises(SourceFailed, match="compressed"):
            await reader.objects("pods")
        await reader.aclose()
        asked = cluster.asked[0].headers
    assert asked["accept-encoding"] == "identity"


async def test_a_program_that_signs_in_to_a_cluster_sees_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "PAGERDUTY_WEBHOOK_SECRET", "DATABASE_URL", "MCP_TICKETS"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    seen = tmp_path / "environment"
    config = yaml.safe_load(KUBECONFIG.format(url="http://127.0.0.1:9"))
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "sh",
            "args": ["-c", f"env > {seen}; exit 1"],
            "env": [{"name": "MCP_TICKETS", "value": "its own"}],
        }
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
    reader = KubernetesReader(str(tmp_path / "kubeconfig"))
    with pytest.raises(SourceFailed):
        await reader.objects("pods")
    await reader.aclose()

    lines = seen.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "planted" in line] == []
    assert {"AWS_PROFILE=prod", "MCP_TICKETS=its own"} <= set(lines)


class Events(httpx2.AsyncBaseTransport):
    """A stream of events, chunk by chunk."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        async def body() -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                yield chunk

        return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=body())


async def read(*chunks: bytes) -> int:
    bounded = BoundedTransport(Events(*chunks), "tickets", 1 << 20)
    async with httpx2.AsyncClient(transport=bounded) as client:
        return len((await client.get("http://tickets.test/mcp")).content)


async def test_a_stream_of_events_may_be_long_and_one_event_may_not() -> None:
    event = b"data: " + b"x" * 300_000
    assert await read(*[event, b"\r\n", b"\r\n"] * 9) == 9 * (len(event) + 4)
    with pytest.raises(SourceFailed, match="more than 1 MiB"):
        await read(*[event] * 4)


# -- what is shown, and what a model reads -----------------------------------------------------------------


@pytest.mark.parametrize("sign", ["\u200b", "\u2060", "\u061c", "\u00ad", "\U000e0041", "\x07", "\x1b"])
def test_a_sign_nobody_sees_hides_no_secret_and_is_not_shown(sign: str) -> None:
    said = f"the key {KEY[:9]}{sign}{KEY[9:]} expired"
    for shown in (incident_words.said(said), words.said(said), code(said), header(said)):
        assert shown.strip("`") == "the key [masked aws key] expired"


def header(said: str) -> str:
    return str(incident_words.header(said)["text"]["text"])


def test_a_label_of_a_series_is_masked_before_it_is_drawn_ranked_or_stored() -> None:
    labels = {"service": "checkout", "user": "maya@acme.dev", "url": f"https://x:{TOKEN}@db"}
    series = named(Series("up", (), None, labels), Signal(name="errors", query="up"), "service")

    drawn = drawing(series, onset=None, changes=())
    for shown in (series.name, title_of(series), alt_text(drawn)):
        assert "masked" in shown
        assert [each for each in ("maya@", TOKEN) if each in shown] == []


@pytest.mark.parametrize("before", [1, 9, len(KEY) - 1])
async def test_a_secret_is_masked_where_a_long_result_is_cut_to_be_masked(before: int) -> None:
    filler = '"x",' * PIECE_CHARACTERS
    result = f'{filler[: PIECE_CHARACTERS - before - 1]}"{KEY}",{filler}'
    tools = Catalogue([Tool("config", "reads it", Nothing, partial(answered, result))])

    executed = await execute(tools, "config", {}, scope=ToolScope(), limit_bytes=8_000)
    assert executed.full is not None
    assert '"[masked aws key]"' in executed.full
    assert KEY not in executed.full
    assert len(executed.full) == len(result) - len(KEY) + len("[masked aws key]")


class Nothing(BaseModel):
    """No arguments."""


async def answered(result: str, asked: Nothing, scope: ToolScope) -> ToolResult:
    return ToolResult(result)


# -- what a payload may be -----------------------------------------------------------------------------------


def test_no_list_in_a_payload_makes_a_label_without_end() -> None:
    data = {"id": "Q1", "title": "t", "teams": [{"summary": "team " * 200}] * 5000}
    paged = pagerduty.parse({"event": {"event_type": "incident.triggered", "data": data}}, STARTED)
    issue = {"id": "1", "state": "ACTIVATED", "title": "t", "alertPolicyNames": ["policy " * 200] * 5000}
    told = newrelic.parse(issue, STARTED)

    assert isinstance(paged, tuple)
    for each in (*paged, *told):
        assert max(len(value) for value in each.labels.values()) == 1000
