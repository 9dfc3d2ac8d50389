"""What the internet may reach: proofs, limits, and what a push to a repo sets in motion."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.web.public import Push, check_github_signature, public_app

SECRET = "It's a Secret to Everybody"


@pytest.fixture
def pushes() -> list[Push]:
    return []


@pytest.fixture
async def client(pushes: list[Push]) -> AsyncIterator[httpx.AsyncClient]:
    async def on_push(push: Push) -> None:
        pushes.append(push)

    app = public_app(slack=None, github_secret=SECRET, on_push=on_push, draining=lambda: False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
        yield client


TOO_LONG = {"full_name": f"acme/{'x' * 8000}"}


def signed(body: bytes, event: str = "push") -> dict[str, str]:
    proof = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={proof}", "X-GitHub-Event": event}


def push(**changes: Any) -> bytes:
    # The part we read of https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
    return json.dumps(
        {"ref": "refs/heads/main", "repository": {"full_name": "acme/blueprints"}, **changes}
    ).encode()


def test_the_signature_of_githubs_own_documentation_fits() -> None:
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    proof = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    check_github_signature(proof, b"Hello, World!", SECRET)


async def test_a_push_is_taken(client: httpx.AsyncClient, pushes: list[Push]) -> None:
    answer = await client.post("/webhooks/github", content=push(), headers=signed(push()))
    assert (answer.status_code, answer.json()) == (202, {"status": "queued"})
    assert [each.repository.full_name for each in pushes] == ["acme/blueprints"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (push(), {"X-GitHub-Event": "push"}, 401, "not_proven"),
        (push(), {**signed(push()), "X-Hub-Signature-256": "sha256=00"}, 401, "not_proven"),
        (push(), signed(push(ref="other")), 401, "not_proven"),
        (b"x" * 1_100_000, signed(b"x" * 1_100_000), 413, "too_large"),
        (push(repository=None), signed(push(repository=None)), 422, "not_understood"),
        (push(repository=TOO_LONG), signed(push(repository=TOO_LONG)), 422, "not_understood"),
        (b"not json", signed(b"not json"), 422, "not_understood"),
    ],
)
async def test_what_is_not_proven_or_not_understood_is_refused(
    client: httpx.AsyncClient,
    pushes: list[Push],
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await client.post("/webhooks/github", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert pushes == []


async def test_a_field_that_lacks_is_named(client: httpx.AsyncClient) -> None:
    body = push(repository={})
    answer = await client.post("/webhooks/github", content=body, headers=signed(body))
    assert "repository.full_name" in answer.json()["reason"]


async def test_other_events_change_nothing(client: httpx.AsyncClient, pushes: list[Push]) -> None:
    answer = await client.post("/webhooks/github", content=b"{}", headers=signed(b"{}", "ping"))
    assert (answer.status_code, answer.json()["status"], pushes) == (202, "ignored", [])


async def test_a_route_without_its_secret_is_absent() -> None:
    async def on_push(push: Push) -> None:
        raise AssertionError

    app = public_app(slack=None, github_secret=None, on_push=on_push, draining=lambda: False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
        assert (await client.post("/webhooks/github", content=push())).status_code == 404
        assert (await client.post("/slack/events", content=b"{}")).status_code == 404
        assert (await client.post("/webhooks/pagerduty", content=b"{}")).status_code == 404
