"""Who cannot prove who they are is slowed down and costs no more memory; who can is served all the while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from structlog.testing import capture_logs

from app.web.floods import BURST, FailedProofs, peer
from app.web.public import public_app
from app.web.webhooks import body
from tests.web.webhooks.stage import BEARER, MemoryDoor, everything_on, sample

WRONG = {"authorization": "Bearer wrong"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def nothing(_: object) -> None:
    raise AssertionError("no push is expected")


def app_at(door: MemoryDoor) -> httpx.ASGITransport:
    app = public_app(
        slack=None,
        github_secret="a secret",
        on_push=nothing,
        draining=lambda: False,
        alerts=door,
        alert_settings=everything_on(),
        clock=lambda: datetime.now(UTC),
        failed=FailedProofs(clock=Clock()),
    )
    return httpx.ASGITransport(app, client=("192.0.2.7", 1))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=app_at(MemoryDoor()), base_url="http://agent") as client:
        yield client


ALERT = sample("alertmanager")


async def test_failed_proofs_are_answered_429_after_a_while_and_logged_no_more(
    client: httpx.AsyncClient,
) -> None:
    with capture_logs() as logs:
        answers = [
            await client.post("/webhooks/alertmanager", json=ALERT, headers=WRONG) for _ in range(BURST + 30)
        ]

    assert [each.status_code for each in answers] == [401] * BURST + [429] * 30
    last = answers[-1]
    assert last.json()["error"] == "too_many_failures"
    assert last.headers["retry-after"] == "5"
    assert last.headers["connection"] == "close"
    assert len(logs) == BURST + 1
    assert (await client.post("/webhooks/github", content=b"{}")).status_code == 401


async def test_bodies_too_large_count_like_missing_proofs(client: httpx.AsyncClient) -> None:
    huge = b"x" * (body.LARGEST_BODY + 1)
    answers = [(await client.post("/webhooks/datadog", content=huge)).status_code for _ in range(BURST + 2)]
    assert answers == [413] * BURST + [429] * 2


async def test_an_authentic_storm_passes_beside_a_flood_from_the_same_address() -> None:
    """As where both come through one proxy."""
    door = MemoryDoor()
    async with httpx.AsyncClient(transport=app_at(door), base_url="http://agent") as client:
        answers = [
            await client.post("/webhooks/alertmanager", json=ALERT, headers=headers)
            for _ in range(500)
            for headers in (WRONG, BEARER)
        ]
    assert {each.status_code for each in answers[1::2]} == {202}
    refused = [each.status_code for each in answers[2 * BURST :: 2]]
    assert refused.count(429) > 0.9 * len(refused)  # one more is one of few every five seconds


async def test_a_body_that_never_ends_is_given_up(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LONGEST_SECONDS", 0.05)

    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(600)

    async with asyncio.timeout(60):
        answer = await client.post("/webhooks/alertmanager", content=dripping(), headers=BEARER)
    assert (answer.status_code, answer.json()["error"]) == (400, "cut_short")


def test_patience_comes_back_with_time() -> None:
    clock = Clock()
    failed = FailedProofs(burst=2, per_second=0.5, clock=clock)
    assert [failed.count("192.0.2.1", "/x") for _ in range(3)] == [0, 0, 2]
    assert failed.count("192.0.2.2", "/x") == 0
    assert failed.count("192.0.2.1", "/y") == 0
    clock.now += 2
    assert [failed.count("192.0.2.1", "/x") for _ in range(2)] == [0, 2]
    clock.now += 1e6
    assert [failed.count("192.0.2.1", "/x") for _ in range(3)] == [0, 0, 2]


def test_a_flood_from_everywhere_takes_no_more_memory() -> None:
    failed = FailedProofs(most_peers=100)
    for n in range(10_000):
        failed.count(f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}", "/x")
    assert len(failed) == 100


@pytest.mark.parametrize(
    ("address", "stands_for"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_somebody_with_a_whole_network_is_one(address: str, stands_for: str) -> None:
    assert peer(address) == stands_for
