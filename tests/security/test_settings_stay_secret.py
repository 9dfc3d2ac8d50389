"""Every secret of the settings, and every place it could come out of while things fail around it.

The systems asked answer errors that repeat what they were sent; so does the model's. No secret here has a shape
that masking knows.
"""

from __future__ import annotations

import io
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from app.settings import secret_variables
from tests.acceptance.conftest import CHECKOUT, LAUNCH, MAYA, Stack
from tests.acceptance.investigating import Incident, diagnosis, incident
from tests.fakes.anthropic import tool_results
from tests.fakes.script import Reply, call, say
from tests.security.test_secrets_stay_where_they_are import everything_stored

LOOKS = (
    call("promql", query="up"),
    call("logql", query='{service="checkout"}'),
    call("traces", service="checkout"),
    call("deploy_history"),
    call("call_ops_endpoint", service="checkout", path="/ops/status"),
    call("on_call"),
    call("read_service_file", path="README.md"),
)


class Echo:
    """A system that fails and repeats what it was sent; `heard` is that."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        sent = f"{request.url} {dict(request.headers)} {(await request.read()).decode(errors='replace')}"
        self.heard.append(sent)
        status = (400, 401, 403, 422, 500)[len(self.heard) % 5]
        said = {"status": "error", "error": sent, "message": sent, "code": "unauthorized", "errors": [sent]}
        return web.json_response(said, status=status)


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[str, Echo]]:
    system, app = Echo(), web.Application()
    app.router.add_route("*", "/{anything:.*}", system.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", system
    await runner.cleanup()


def planted(stack: Stack) -> dict[str, str]:
    """Every secret variable with a value of its own; those that somebody here must know stay as they are."""
    known = {*stack.environment, "DATABASE_URL", "ALERT_WEBHOOK_TOKEN", "PAGERDUTY_WEBHOOK_SECRET"}
    return {
        name: f"canary{name.lower().replace('_', '')}{secrets.token_hex(6)}"
        for name in sorted(secret_variables())
        if name not in known and not name.startswith("MCP_")
    }


def talkative(key: str) -> Any:
    """A model whose first answers are errors that repeat the key, which then looks everywhere and tells all."""
    failing = iter(
        (Reply(status=500, message=f"no {key}"), Reply(status=401, message=f"invalid x-api-key {key}"))
    )

    def respond(body: dict[str, Any]) -> Reply:
        if (failure := next(failing, None)) is not None:
            return failure
        last = body["messages"][-1]["content"]
        if not (isinstance(last, list) and tool_results(body)):
            offered = {tool["name"] for tool in body.get("tools", ())}
            if calls := tuple(each for each in LOOKS if each.name in offered):
                return say("", *calls)
        return say(json.dumps(body["messages"])[-8000:], diagnosis())

    return respond


async def answers_of(one: Incident, token: str) -> str:
    """Everything the ports answer: each documented GET, and requests that are refused."""
    said = []
    async with aiohttp.ClientSession() as session:

        async def get(port: str, path: str, **headers: str) -> Any:
            url = f"http://127.0.0.1:{one.runtime.ports[port]}{path}"
            async with session.get(url, headers=headers) as answer:
                said.append(f"{dict(answer.headers)} {await answer.text()}")
                return said[-1].split(" ", 1)[1]

        async with session.get(f"http://127.0.0.1:{one.runtime.ports['OPS_PORT']}/openapi.json") as answer:
            documented = await answer.json()
        said.append(json.dumps(documented))
        for path in ("/docs", *(path for path in documented["paths"] if "{" not in path)):
            for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer wrong"}):
                await get("OPS_PORT", path, **headers)
        for path in ("/slack/events", "/webhooks/pagerduty", "/webhooks/alertmanager", "/webhooks/github"):
            url = f"http://127.0.0.1:{one.runtime.ports['PORT']}{path}?auth_token={quote('wrong')}"
            for body in (b"{}", b"nonsense", b"x" * 2_000_000):
                async with session.post(url, data=body) as refused:
                    said.append(await refused.text())
    return "\n".join(said)


def leaks(planted: dict[str, str], **places: str) -> list[str]:
    return [
        f"{name} in {where}"
        for where, text in places.items()
        for name, value in planted.items()
        if value in text
    ]


async def test_no_secret_of_the_settings_comes_out_while_everything_fails(
    stack: Stack, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    values = planted(stack)
    async with echo() as (url, system):
        own = {
            name: f"{url}/{name.lower()}"
            for name in (
                *("PROMETHEUS_URL", "LOKI_URL", "TEMPO_URL", "ARGOCD_URL", "PAGERDUTY_API_URL"),
                *("PAGERDUTY_EVENTS_URL", "NOTION_API_URL"),
            )
        }
        users = {f"{name}_USER": "someone" for name in ("PROMETHEUS", "LOKI", "TEMPO")}
        tokens = {
            name: values.pop(name) for name in ("PROMETHEUS_TOKEN", "LOKI_TOKEN")
        }  # else no password is sent
        async with incident(
            stack,
            **{name: value for name, value in values.items() if name not in ("SLACK_APP_TOKEN",)},
            **own,
            **users,
            SERVICE_REGISTRY=f"checkout|{url}/checkout|critical",
            NOTION_PARENT_PAGE_ID="fedcba9876543210fedcba9876543210",
            LOG_LEVEL="DEBUG",
        ) as one:
            one.model.script._respond = talkative(values["ANTHROPIC_API_KEY"])
            await one.page("pagerduty")
            ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
            await one.ended()
            await stack.answered(CHECKOUT, ts)
            answered = await answers_of(one, values["OPS_AUTH_TOKEN"])
            said = json.dumps([each.arguments for each in stack.slack.calls()], default=str)
            stored = await everything_stored(stack)
            asked = json.dumps(one.model.requests)
    printed = capfd.readouterr()
    told = (
        values
        | tokens
        | {
            name: stack.environment[name]
            for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET")
            if stack.environment.get(name)
        }
        | {name: stack.environment[name] for name in ("ALERT_WEBHOOK_TOKEN", "PAGERDUTY_WEBHOOK_SECRET")}
    )
    heard = "\n".join(system.heard)
    # The systems were sent what proves us, and failed with it in their mouths.
    assert values["TEMPO_TOKEN"] in heard
    assert values["PAGERDUTY_API_TOKEN"] in heard
    assert values["SERVICE_OPS_TOKEN"] in heard
    assert "rejects the query" in stored or "does not accept our credentials" in stored
    assert re.search(r'"level": "(debug|info)"', log.getvalue())
    assert (
        leaks(
            told,
            log=log.getvalue(),
            stdout=printed.out + printed.err,
            slack=said,
            database=stored,
            model=asked,
            answers=answered,
        )
        == []
    )
