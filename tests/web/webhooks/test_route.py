"""What a sender is answered, and that nothing is answered 2xx before it is stored."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from app.investigations.intake import Accepted
from app.settings import AlertSettings
from app.storage.errors import DatabaseUnavailable
from app.telemetry import set_up_logging
from app.web.public import public_app
from app.web.server import WebServer, bind
from app.web.webhooks.source import Door, discover
from tests.web.webhooks.stage import BEARER, NOW, TOKEN, MemoryDoor, everything_on, sample, settings
from tests.web.webhooks.test_grafana import signed as by_grafana
from tests.web.webhooks.test_pagerduty import PAGERDUTY
from tests.web.webhooks.test_pagerduty import signature as by_pagerduty

Proof = Callable[[bytes], dict[str, str]]

PROOFS: dict[str, Proof] = {
    **{each.name: lambda _body: BEARER for each in discover(everything_on())},
    "pagerduty": lambda body: {"x-pagerduty-signature": by_pagerduty(PAGERDUTY[1], body)},
    "grafana": by_grafana,
}


async def on_push(push: Any) -> None:
    raise AssertionError


def app_of(
    door: Door,
    alerts: AlertSettings | None = None,
    *,
    draining: bool = False,
    clock: Callable[[], datetime] = lambda: NOW,
) -> Starlette:
    return public_app(
        slack=None,
        github_secret=None,
        on_push=on_push,
        draining=lambda: draining,
        alerts=door,
        alert_settings=alerts or everything_on(),
        clock=clock,
    )


@asynccontextmanager
async def client_of(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
        yield client


async def send(
    app: Starlette, name: str, body: bytes, headers: dict[str, str] | None = None
) -> httpx.Response:
    proof = PROOFS[name](body) if headers is None else headers
    async with client_of(app) as client:
        return await client.post(f"/webhooks/{name}", content=body, headers=proof)


@pytest.fixture
def door() -> MemoryDoor:
    return MemoryDoor()


@pytest.mark.parametrize("name", PROOFS)
async def test_a_webhook_is_stored_and_answered_202(door: MemoryDoor, name: str) -> None:
    answer = await send(app_of(door), name, json.dumps(sample(name)).encode())
    assert answer.status_code == 202
    assert answer.json() == {"status": "queued", "investigation_id": "00000000-0000-0000-0000-000000000001"}
    assert [alert.source for alert in door.accepted] == [name]


async def test_a_redelivered_webhook_joins(door: MemoryDoor) -> None:
    app, body = app_of(door), json.dumps(sample("gcp")).encode()
    answers = [(await send(app, "gcp", body)).json()["status"] for _ in range(2)]
    assert answers == ["queued", "joined"]


async def test_what_changes_nothing_is_answered_with_its_reason(door: MemoryDoor) -> None:
    answer = await send(app_of(door), "pagerduty", json.dumps(sample("pagerduty_ping")).encode())
    assert (answer.status_code, answer.json()["status"]) == (202, "ignored")
    assert "address and secret fit" in answer.json()["reason"]
    assert door.accepted == []


async def test_what_the_intake_ignores_is_answered_so(door: MemoryDoor) -> None:
    class Closed(MemoryDoor):
        async def accept(self, alert: Any) -> Accepted:
            return Accepted("ignored", reason="nothing of that key is open")

    answer = await send(app_of(Closed()), "gcp", json.dumps(sample("gcp", incident__state="closed")).encode())
    assert answer.json() == {"status": "ignored", "reason": "nothing of that key is open"}


@pytest.mark.parametrize("name", PROOFS)
async def test_without_proof_nothing_is_read_or_stored(door: MemoryDoor, name: str) -> None:
    body = json.dumps(sample(name)).encode()
    for forged in (
        {},
        {"authorization": "Bearer guessed"},
        PROOFS[name](body + b" ") | {"authorization": ""},
    ):
        for sent in (body, b"not json", b""):
            answer = await send(app_of(door), name, sent, forged)
            assert (answer.status_code, answer.json()["error"]) == (401, "not_proven")
    assert (door.accepted, door.rejected) == ([], [])


@pytest.mark.parametrize("name", PROOFS)
async def test_an_authentic_payload_that_cannot_be_read_is_kept(door: MemoryDoor, name: str) -> None:
    payload = {"an": "odd", "payload": [1, {"a": "b"}]}
    answer = await send(app_of(door), name, json.dumps(payload).encode())
    assert (answer.status_code, answer.json()["error"]) == (422, "not_understood")
    assert answer.json()["reason"].endswith(" is missing.")
    assert door.rejected == [(name, answer.json()["reason"], payload)]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"9" * 5000]
)
async def test_what_is_no_json_is_refused(door: MemoryDoor, body: bytes) -> None:
    answer = await send(app_of(door), "gcp", body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "The body is not JSON.")
    assert (door.accepted, door.rejected) == ([], [])


@pytest.mark.parametrize("name", PROOFS)
async def test_a_body_above_the_limit_is_refused_before_it_is_proven(door: MemoryDoor, name: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    async with client_of(app_of(door)) as client:
        announced = await client.post(f"/webhooks/{name}", content=b"x" * 1_100_000)
        streamed = await client.post(f"/webhooks/{name}", content=chunks())
    assert (announced.status_code, streamed.status_code) == (413, 413)
    assert (door.accepted, door.rejected) == ([], [])


@pytest.mark.parametrize("body", [json.dumps(sample("gcp")).encode(), b"{}"])
async def test_without_the_database_the_sender_is_asked_to_come_again(body: bytes) -> None:
    away = MemoryDoor(DatabaseUnavailable("The database does not answer."))
    answer = await send(app_of(away), "gcp", body)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_draining_process_sends_webhooks_elsewhere(door: MemoryDoor) -> None:
    answer = await send(app_of(door, draining=True), "gcp", json.dumps(sample("gcp")).encode())
    assert (answer.status_code, answer.json()["error"]) == (503, "draining")
    assert "Retry-After" in answer.headers
    assert door.accepted == []


async def test_a_route_without_its_secret_is_absent(door: MemoryDoor) -> None:
    body = json.dumps(sample("pagerduty")).encode()
    off = app_of(door, settings(ALERT_WEBHOOK_TOKEN=TOKEN))
    assert (await send(off, "pagerduty", body)).status_code == 404
    assert (await send(app_of(door, settings()), "gcp", body)).status_code == 404
    assert (await send(off, "gcp", body)).status_code == 422


async def test_only_post_is_answered(door: MemoryDoor) -> None:
    async with client_of(app_of(door)) as client:
        assert (await client.get(f"/webhooks/gcp?auth_token={TOKEN}")).status_code == 405


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logging("DEBUG", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_a_sender_that_hangs_up_in_its_body_is_no_fault_of_ours(
    log: io.StringIO, door: MemoryDoor
) -> None:
    server = WebServer(app_of(door), bind(0, "PORT", "127.0.0.1"))
    await server.start()
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /webhooks/gcp HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf a body")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(60):
            while "cut_short" not in log.getvalue():
                await asyncio.sleep(0.01)
    finally:
        await server.stop()
    assert "Traceback" not in log.getvalue()
    assert (door.accepted, door.rejected) == ([], [])


@pytest.mark.parametrize(
    ("door", "body", "status"),
    [
        (MemoryDoor(), b'{"password": "hunter2"}', 422),
        (MemoryDoor(), json.dumps(sample("gcp")).encode(), 202),
        (MemoryDoor(RuntimeError("a fault of ours")), json.dumps(sample("gcp")).encode(), 500),
        (MemoryDoor(), b"x" * 1_100_000, 413),
    ],
)
async def test_secrets_in_addresses_and_bodies_reach_no_log(
    log: io.StringIO, door: MemoryDoor, body: bytes, status: int
) -> None:
    server = WebServer(app_of(door), bind(0, "PORT", "127.0.0.1"))
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            answer = await client.post("/webhooks/gcp", params={"auth_token": TOKEN}, content=body)
            refused = await client.post(
                "/webhooks/gcp", params={"auth_token": "almost-a-secret"}, content=b""
            )
    finally:
        await server.stop()
    assert (answer.status_code, refused.status_code) == (status, 401)
    lines = [line for line in log.getvalue().splitlines() if "httpx" not in line]
    assert any('"path": "/webhooks/gcp"' in line for line in lines)
    for secret in (TOKEN, TOKEN.replace(" ", "+"), TOKEN.replace(" ", "%20"), "almost-a-secret", "hunter2"):
        assert not any(secret in line for line in lines)
