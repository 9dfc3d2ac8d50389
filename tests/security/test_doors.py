"""What the internet may send to the two doors, byte by byte, against the running program."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest

from app.settings import Settings, SettingsError
from app.slack.guard import signature
from tests.acceptance.conftest import CHECKOUT, MAYA, Stack
from tests.security.door import CANARY, SECRET, Door, turns


def event(text: str = "what does checkout need?", **changes: Any) -> bytes:
    said = {
        "type": "message",
        "channel_type": "im",
        "channel": "D0MAYA",
        "user": MAYA,
        "ts": "1800000000.000100",
    }
    return json.dumps(
        {
            "type": "event_callback",
            "team_id": "T0ACME",
            "event_id": "Ev1",
            "event": said | {"text": f"{text} {CANARY}"} | changes,
        }
    ).encode()


async def test_what_slack_did_not_sign_is_refused_in_one_line(door: Door) -> None:
    body, good = event(), door.signed(event())
    without = [each for each in good if each[0] != "X-Slack-Signature"]
    stamp = dict(good)["X-Slack-Request-Timestamp"]
    other = signature("", stamp, body)
    tries = {
        "unsigned": (401, without, body),
        "no headers": (401, [], body),
        "replayed": (401, door.signed(body, age=301), body),
        "from the future": (401, door.signed(body, age=-400), body),
        "another body": (401, good, body.replace(b"checkout", b"payments")),
        "empty secret": (401, [*without, ("X-Slack-Signature", other)], body),
        "signed twice, the false one first": (401, [("X-Slack-Signature", "v0=00"), *good], body),
        "no number": (401, [("X-Slack-Request-Timestamp", "nan"), *good], body),
        "a negative number": (401, [("X-Slack-Request-Timestamp", "-1")], body),
        "no JSON": (400, door.signed(b"{" + CANARY.encode()), b"{" + CANARY.encode()),
        "a list": (400, door.signed(b"[1]"), b"[1]"),
        "nothing": (400, door.signed(b""), b""),
        "no UTF-8": (400, door.signed(b"\xff\xfe"), b"\xff\xfe"),
        "deep": (400, door.signed(b"[" * 200_000), b"[" * 200_000),
        "a form without JSON": (
            400,
            door.signed(b"payload=x", kind="application/x-www-form-urlencoded"),
            b"payload=x",
        ),
        "a form of lists": (
            400,
            door.signed(b"payload=%5B%5D", kind="APPLICATION/x-www-form-urlencoded; charset=utf-8"),
            b"payload=%5B%5D",
        ),
        "oversized": (413, good, b"x" * (1024 * 1024 + 1)),
    }
    for name, (status, headers, sent) in tries.items():
        before = door.log.getvalue()
        assert await door.post("/slack/events", headers, sent) == status, name
        said = door.log.getvalue().removeprefix(before)
        # What the program does by itself at this moment, such as taking a slot of diagnoses, has no status.
        assert said.count('"status": ') == 1, name
        for word in (CANARY, "Traceback"):
            assert word not in said, name
    assert await turns(door.stack) == 0


async def test_an_endless_body_is_cut_off(door: Door) -> None:
    head = "POST /slack/events HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert await door.send(head, chunk * 20) in (413, 0)
    liar = "POST /slack/events HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999999\n"
    assert await door.send(liar, b"x") in (400, 413)
    assert await turns(door.stack) == 0


async def test_smuggled_and_broken_requests_do_no_harm(door: Door) -> None:
    body = event()
    head = "".join(f"{key}: {value}\n" for key, value in door.signed(body))
    both = f"POST /slack/events HTTP/1.1\nHost: x\n{head}Content-Length: {len(body)}\nTransfer-Encoding: chunked\n"
    assert await door.send(both, b"0\r\n\r\n") in (400, 401)
    assert await door.send("GET /slack/events HTTP/1.1\nHost: x\n") == 405
    assert await door.send("NONSENSE\n") in (400, 0)
    for path in ("/docs", "/openapi.json", "/slack/events/", "/../etc/passwd", "/webhooks", "/healthz"):
        assert await door.send(f"GET {path} HTTP/1.1\nHost: x\nConnection: close\n") in (307, 404, 405), path
    assert CANARY not in door.log.getvalue()
    assert await turns(door.stack) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "USLACKBOT"},
        {"user": "U0GUEST"},
        {"user": "U0NOBODY"},
        {"user": MAYA, "bot_id": "B1"},
        {"user": "U0AGENT"},
        {"user": MAYA, "user_team": "T0ELSEWHERE"},
        {"user": MAYA, "subtype": "message_changed"},
        {"user": None},
    ],
    ids=str,
)
async def test_nobody_but_a_member_is_answered(door: Door, changes: dict[str, Any]) -> None:
    body = event(**changes)
    assert await door.post("/slack/events", door.signed(body), body) == 200
    assert await turns(door.stack) == 0


async def test_a_channel_that_is_not_allowed_is_not_answered(stack: Stack) -> None:
    await stack.serve(SLACK_ALLOWED_CHANNELS="C0INCIDENTS")
    await stack.slack.say(MAYA, CHECKOUT, "<@U0AGENT> what does checkout need?")
    await stack.slack.wait_for(lambda: stack.slack.ephemeral(MAYA))
    assert await turns(stack) == 0


@pytest.mark.parametrize(
    "text",
    [
        "what is \\u0000 in checkout?",
        "checkout \0 needs",
        "checkout \ud800 needs",
        "checkout'; DROP TABLE turns; --",
    ],
    ids=["written NUL", "NUL", "half a character", "SQL"],
)
async def test_odd_characters_are_answered_like_any_others(door: Door, text: str) -> None:
    body = event(text)
    assert await door.post("/slack/events", door.signed(body), body) == 200
    async with asyncio.timeout(60):
        while not await door.stack.rows("SELECT 1 FROM turns WHERE status = 'done'"):
            assert not await door.stack.rows("SELECT 1 FROM turns WHERE attempt > 1")
            await asyncio.sleep(0.05)


async def test_github_must_prove_itself(door: Door) -> None:
    body = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": f"acme/{CANARY}"}}).encode()

    def proof(secret: str, digest: Any = hashlib.sha256) -> str:
        return "sha256=" + hmac.new(secret.encode(), body, digest).hexdigest()

    event_is = ("X-GitHub-Event", "push")
    for header in ("", "sha256=", proof(""), proof("wrong"), proof(SECRET)[:-1], proof(SECRET, hashlib.sha1)):
        headers = [event_is, ("X-Hub-Signature-256", header), ("X-Hub-Signature", proof(SECRET))]
        assert await door.post("/webhooks/github", headers, body) == 401
    assert await door.post("/webhooks/github", [event_is], body) == 401
    assert await door.post("/webhooks/github", [event_is, ("X-Hub-Signature-256", "sha256=é")], body) == 401
    assert (
        await door.post("/webhooks/github", [event_is, ("X-Hub-Signature-256", proof(SECRET))], body) == 202
    )
    assert CANARY not in door.log.getvalue()


@pytest.mark.parametrize("name", ["SLACK_SIGNING_SECRET", "GITHUB_WEBHOOK_SECRET", "SLACK_BOT_TOKEN"])
def test_a_secret_of_blanks_is_no_secret(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.load(env_file=None, **{name: "   "})
