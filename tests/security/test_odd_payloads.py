"""What Slack might send one day and never did: signed, and of no shape that anybody knows.

Delivering it again would not make it any better, so it is acknowledged; one line of log says where it is odd,
without a word of it.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.acceptance.conftest import CHECKOUT, MAYA, Stack
from tests.security.door import CANARY, Door, turns

TS = "1800000000.000100"
PERSON = {"id": MAYA, "team_id": "T0ACME"}


def heard(kind: str = "app_mention", **changes: Any) -> dict[str, Any]:
    event = {"type": kind, "channel": CHECKOUT, "user": MAYA, "ts": TS, "text": f"<@U0AGENT> {CANARY}"}
    return {"type": "event_callback", "team_id": "T0ACME", "event_id": "Ev1", "event": event | changes}


def stopped(**changes: Any) -> dict[str, Any]:
    event = {"type": "agent_session_stopped", "channel": CHECKOUT, "user": MAYA, "thread_ts": TS}
    return {"type": "event_callback", "event": event | changes}


def clicked(action: Any = None, **changes: Any) -> dict[str, Any]:
    thumb = {"action_id": "feedback", "value": f"up:{uuid4()}"} if action is None else action
    container = {"type": "message", "message_ts": TS, "channel_id": CHECKOUT}
    body = {"type": "block_actions", "user": PERSON, "team": {"id": "T0ACME"}, "container": container}
    return body | {"actions": [thumb]} | changes


def nested(depth: int, name: str = "event") -> Any:
    inside: Any = CANARY
    for _ in range(depth):
        inside = {name: inside}
    return inside


ODD_EVENTS: dict[str, dict[str, Any]] = {
    "no type": {"event": CANARY},
    "a type nobody knows": {"type": CANARY},
    "a type that is no text": {"type": [CANARY]},
    "an event without an event": {"type": "event_callback"},
    "an event that is a text": {"type": "event_callback", "event": CANARY},
    "an event that is a list": {"type": "event_callback", "event": [CANARY]},
    "an event without a type": {"type": "event_callback", "event": {"text": CANARY}},
    "an event of another type of type": {"type": "event_callback", "event": {"type": {"a": CANARY}}},
    "a number as channel": heard(channel=5),
    "a word as channel": heard(channel=CANARY),
    "no channel": heard(channel=None),
    "a number as ts": heard(ts=1800000000.0001),
    "a word as ts": heard(ts=CANARY),
    "an endless ts": heard(ts="1" * 5000),
    "a word as thread_ts": heard(thread_ts=CANARY),
    "a list as user": heard(user=[CANARY]),
    "an object as text": heard(text={"a": CANARY}),
    "a list as subtype": heard(subtype=[CANARY]),
    "a number as team": heard(user_team=7),
    "files that are none": heard(files=CANARY),
    "files of texts": heard(files=[CANARY]),
    "a file of a strange name": heard(files=[{"name": {"a": CANARY}}]),
    "a message without anything": {"type": "event_callback", "event": {"type": "message"}},
    "a stop without anything": {"type": "event_callback", "event": {"type": "agent_session_stopped"}},
    "a stop in a number": stopped(channel=5),
    "a stop at no time": stopped(thread_ts=CANARY),
    "a stop by a list": stopped(user=[CANARY]),
    "authorizations that are none": heard() | {"authorizations": CANARY, "event": {"type": "x"}},
    "an authorization that is a number": heard() | {"authorizations": [5]},
    "an enterprise that is a number": heard() | {"enterprise": 5},
    "nested deeply": {"type": "event_callback", "event": {"type": "x", "event": nested(400)}},
    "nested very deeply": {"type": "event_callback", "event": {"type": "x", "event": nested(800)}},
    "authorizations nested deeply": {"type": "event_callback", "authorizations": [nested(700)]},
}
ODD_CLICKS: dict[str, dict[str, Any]] = {
    "a bare view_submission": {"type": "view_submission"},
    "a view that is a text": {"type": "view_submission", "user": PERSON, "view": CANARY},
    "a view without an id": {"type": "view_submission", "user": PERSON, "view": {"x": CANARY}},
    "a modal of nobody": {
        "type": "view_submission",
        "view": {"type": "modal", "callback_id": "incident_cause"},
    },
    "a modal of another shape": {
        "type": "view_submission",
        "user": PERSON,
        "view": {
            "type": "modal",
            "callback_id": "incident_cause",
            "private_metadata": CANARY,
            "state": CANARY,
        },
    },
    "a modal that knows no place": {
        "type": "view_submission",
        "user": PERSON,
        "view": {"type": "modal", "callback_id": "incident_cause"},
    },
    "a bare click": {"type": "block_actions"},
    "clicks that are none": clicked() | {"actions": CANARY},
    "no clicks": clicked() | {"actions": []},
    "a click of a text": clicked(CANARY),
    "a thumb that is no turn": clicked({"action_id": "feedback", "value": f"up:{CANARY}"}),
    "a thumb without a value": clicked({"action_id": "feedback"}),
    "a thumb of a number": clicked({"action_id": "feedback", "value": 5}),
    "a thumb in no direction": clicked({"action_id": "feedback", "value": f"sideways:{uuid4()}"}),
    "a thumb of nobody": clicked(user=None),
    "a thumb of a text": clicked(user=CANARY),
    "a thumb of a number as user": clicked(user={"id": 5}),
    "a thumb in a number": clicked(container={"channel_id": 5}),
    "a thumb nowhere": clicked(container=None),
    "a thumb in a text": clicked(container=CANARY),
    "a button of no incident": clicked({"action_id": "incident_correct", "value": CANARY}),
    "a button of nobody": clicked({"action_id": "incident_correct", "value": str(uuid4())}, user={}),
    "a button of a container that is none": clicked(
        {"action_id": "incident_correct", "value": str(uuid4())}, container=[CANARY]
    ),
    "a modal asked for without a trigger": clicked({"action_id": "incident_wrong", "value": str(uuid4())}),
    "a shortcut": {"type": "shortcut", "callback_id": CANARY, "user": PERSON},
    "options nobody offers": {"type": "block_suggestion", "action_id": CANARY, "user": PERSON},
}


SHAPED = {
    "a list as subtype",
    "nested deeply",
    "nested very deeply",
    "authorizations nested deeply",
    "authorizations that are none",
}
"""What somebody else may yet understand is passed over in silence."""


def one_line(said: str, name: str) -> None:
    said = "".join(line for line in said.splitlines(keepends=True) if "slot_taken" not in line)
    if not (name in SHAPED and not said):
        assert said.count("\n") == 1, (name, said)
        assert json.loads(said)["event"] in (
            "payload_not_understood",
            "button_not_understood",
            "event_ignored",
        )
    for word in (CANARY, "Traceback"):
        assert word not in said, (name, said)


async def test_over_http_it_is_acknowledged_in_one_line(door: Door) -> None:
    for name, payload in (ODD_EVENTS | ODD_CLICKS).items():
        body, kind = json.dumps(payload).encode(), "application/json"
        if name in ODD_CLICKS:
            body, kind = urlencode({"payload": body.decode()}).encode(), "application/x-www-form-urlencoded"
        before = door.log.getvalue()
        assert await door.post("/slack/events", door.signed(body, kind=kind), body) == 200, name
        one_line(door.log.getvalue().removeprefix(before), name)
    assert await turns(door.stack) == 0


async def test_over_a_socket_it_is_acknowledged_in_one_line(stack: Stack, log: io.StringIO) -> None:
    stack.slack.socket_mode.ack_seconds = 60
    await stack.serve()
    for name, payload in (ODD_EVENTS | ODD_CLICKS).items():
        before = log.getvalue()
        kind = "interactive" if name in ODD_CLICKS else "events_api"
        # Raises when it is not acknowledged.
        await stack.slack.socket_mode.send(kind, payload, 0, None)
        one_line(log.getvalue().removeprefix(before), name)
    assert await turns(stack) == 0


@pytest.mark.parametrize(
    "body", [{"type": "url_verification"}, {"type": "url_verification", "challenge": [CANARY]}], ids=str
)
async def test_an_odd_handshake_breaks_nothing(door: Door, body: dict[str, Any]) -> None:
    sent = json.dumps(body).encode()
    assert await door.post("/slack/events", door.signed(sent), sent) == 200
    assert "Traceback" not in door.log.getvalue()


async def test_a_form_that_is_no_interaction_is_acknowledged(door: Door) -> None:
    for body in (b"command=%2Fsre&text=hello", b"ssl_check=1&token=x", b"payloads=5"):
        headers = door.signed(body, kind="application/x-www-form-urlencoded")
        assert await door.post("/slack/events", headers, body) == 200, body


JUNK: list[Any] = [None, 5, -1.5, "x", "", [], {}, {"a": {}}, [[]], [None], True]
CAUSE = {"incident_cause": {"incident_cause": {"value": "x"}}}
WHERE = {"investigation_id": str(uuid4()), "channel_id": CHECKOUT, "thread_ts": TS, "message_ts": TS}
WHOLE = [
    heard(user="U0GUEST", user_team="T0ACME", thread_ts=TS, files=[{"name": "x"}])
    | {"authorizations": [{"team_id": "T0ACME", "is_enterprise_install": False}], "enterprise": {"id": "E1"}}
    | {"is_ext_shared_channel": True, "team": {"id": "T0ACME"}},
    stopped(),
    clicked(message={"ts": TS, "thread_ts": TS}, channel={"id": CHECKOUT}, enterprise=None, view={}),
    clicked({"action_id": "incident_correct", "value": str(uuid4())}),
    {
        "type": "view_submission",
        "user": PERSON,
        "view": {
            "type": "modal",
            "callback_id": "incident_cause",
            "private_metadata": json.dumps(WHERE),
            "state": {"values": CAUSE},
        },
    },
]


def ways_into(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*way, key)
        yield from ways_into(each, (*way, key))


def broken(value: Any, way: tuple[Any, ...], junk: Any) -> Any:
    copied = copy.deepcopy(value)
    inner = copied
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = junk
    return copied


async def test_whichever_part_of_a_payload_is_odd_it_breaks_nothing(door: Door) -> None:
    for whole in WHOLE:
        for way in ways_into(whole):
            for junk in JUNK:
                payload = json.dumps(broken(whole, way, junk))
                body, kind = payload.encode(), "application/json"
                if "event" not in whole:
                    body = urlencode({"payload": payload}).encode()
                    kind = "application/x-www-form-urlencoded"
                status = await door.post("/slack/events", door.signed(body, kind=kind), body)
                assert status == 200, (way, junk)
    for word in ("Traceback", "listener_failed", "request_failed"):
        assert word not in door.log.getvalue()
