"""Whatever is sent: alerts, or a refusal that names a field, and never another exception."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.investigations.alert import Alert
from app.web.webhooks.refusals import NotUnderstood
from app.web.webhooks.source import Ignored, WebhookSource, discover
from tests.web.webhooks.stage import NOW, MemoryDoor, everything_on, sample
from tests.web.webhooks.test_route import PROOFS, app_of, send

SOURCES = {each.name: each for each in discover(everything_on()) if isinstance(each, WebhookSource)}

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Halves of surrogate pairs and NUL included: JSON's escapes can say them.
texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(
    ["", " ", "\0", "\ud800", "x" * 5000, "$TAGS", "-1", "9" * 400, "0001-01-01T00:00:00Z", "javascript:x"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**300, -(10**18), 10**17])
    | st.floats()
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def places(payload: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value of a payload."""
    parts = payload.items() if isinstance(payload, dict) else enumerate(payload)
    return [
        found
        for key, value in parts
        for found in (
            (*way, key),
            *(places(value, (*way, key)) if isinstance(value, dict | list) else ()),
        )
    ]


@st.composite
def mutated(draw: st.DrawFn, name: str) -> Any:
    """A sample with one to three of its values replaced, removed or doubled."""
    payload = sample(name)
    for _ in range(draw(st.integers(1, 3))):
        if not (ways := places(payload)):
            break
        *way, last = draw(st.sampled_from(ways))
        at = payload
        for step in way:
            at = at[step]
        change = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
        if change == "replace":
            at[last] = draw(values)
        elif change == "remove":
            del at[last]
        elif isinstance(at, list):
            at.append(copy.deepcopy(at[last]))
    return payload


def check(name: str, payload: Any) -> None:
    try:
        parsed = SOURCES[name].parse(payload, NOW)
    except NotUnderstood as refused:
        named = refused.sentence
        parsed = Ignored(named.encode().decode())
    if isinstance(parsed, Ignored):
        assert parsed.reason
        return
    assert parsed
    for alert in parsed:
        assert alert.source == name
        assert alert.title
        # Nothing that neither a database nor Slack can hold.
        assert "\\u0000" not in alert.model_dump_json()
        assert Alert.model_validate_json(alert.model_dump_json()) == alert
        assert len(alert.model_dump_json()) < 600_000


@pytest.mark.parametrize("name", SOURCES)
@quick
@given(data=st.data())
def test_a_sample_with_foreign_values_is_read_or_refused(name: str, data: st.DataObject) -> None:
    check(name, data.draw(mutated(name)))


@pytest.mark.parametrize("name", SOURCES)
@quick
@given(payload=values)
def test_any_json_is_read_or_refused(name: str, payload: Any) -> None:
    check(name, payload)


@pytest.mark.parametrize("name", SOURCES)
@settings(quick, max_examples=40)
@given(data=st.data())
def test_any_authentic_bytes_are_answered(name: str, data: st.DataObject) -> None:
    payload = mutated(name).map(lambda value: json.dumps(value).encode())
    body = data.draw(st.one_of(st.binary(max_size=200), payload, values.map(json.dumps).map(str.encode)))
    door = MemoryDoor()
    answer = asyncio.run(send(app_of(door), name, body))
    assert answer.status_code in (202, 422)
    assert len(door.accepted) == (answer.status_code == 202 and answer.json()["status"] != "ignored")


@pytest.mark.parametrize("name", SOURCES)
@settings(quick, max_examples=30)
@given(body=st.binary(max_size=200), header=st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_bytes_without_proof_are_401(name: str, body: bytes, header: str) -> None:
    door = MemoryDoor()
    raw = header.encode("latin-1")
    names = [key.encode() for key in (*PROOFS[name](body), "authorization", "x-grafana-alerting-timestamp")]
    answer = asyncio.run(send(app_of(door), name, body, dict.fromkeys(names, raw)))  # type: ignore[misc]
    assert answer.status_code == 401
    assert (door.accepted, door.rejected) == ([], [])
