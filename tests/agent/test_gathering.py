"""What a model streams, gathered: fewer events, the same words, nothing else touched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.agent.gathering import GatheredStream, merged


def event(body: dict[str, Any]) -> bytes:
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()


def delta(text: str, index: int = 0) -> bytes:
    return event(
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
    )


def openai(text: str | None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **more}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice]}).encode() + b"\n\n"


START = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
STOP = event({"type": "content_block_stop", "index": 0})
END = event({"type": "message_stop"})
TOOL = event(
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}}
)


class Wire:
    """A response that comes in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def words(data: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for each in data.split(b"\n\n"):
        if b"data: " in each:
            body = json.loads(each.partition(b"data: ")[2])
            text = body.get("delta", {}).get("text", "")
            kind = body["type"] + str(body.get("index"))
            if text and found and found[-1][0] == kind:
                found[-1] = (kind, found[-1][1] + text)
            else:
                found.append((kind, text))
    return found


def test_a_run_of_text_becomes_one_event_and_the_rest_stays_byte_for_byte() -> None:
    assert list(merged([START, delta("a"), delta("ü"), delta("c"), STOP])) == [START, delta("aüc"), STOP]


def test_text_of_two_blocks_is_not_joined() -> None:
    apart = [delta("a", 0), delta("b", 1), TOOL, delta("c", 1)]
    assert list(merged(apart)) == apart


def test_openai_s_events_are_joined_until_one_says_more_than_text() -> None:
    last = openai("c", finish_reason="stop")
    assert list(merged([openai("a"), openai("b"), last, b"data: [DONE]\n\n"])) == [
        openai("ab"),
        last,
        b"data: [DONE]\n\n",
    ]


def test_what_is_no_json_or_of_another_shape_passes() -> None:
    odd = [b'data: {"content": "text_delta"\n\n', b'data: ["content"]\n\n', openai(None), b": ping\n\n"]
    assert list(merged(odd)) == odd


async def gathered(pieces: list[bytes], late: float = 0) -> tuple[list[bytes], list[float]]:
    now, pauses = [0.0], []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds + late

    stream = GatheredStream(Wire(pieces), seconds=0.1, sleep=sleep, clock=lambda: now[0])
    return [piece async for piece in stream], pauses


async def test_the_first_text_does_not_wait_and_what_follows_comes_in_larger_pieces() -> None:
    pieces, pauses = await gathered([START, delta("a"), delta("b") + delta("c"), STOP])
    assert pieces == [START, delta("a"), delta("bc"), STOP]
    assert pauses == [0.1] * 2


async def test_a_call_and_the_end_do_not_wait() -> None:
    pieces, pauses = await gathered([START, delta("a"), STOP, TOOL, TOOL, STOP, END])
    assert pieces == [START, delta("a"), STOP, TOOL, TOOL, STOP, END]
    assert pauses == [0.1]
    last = openai("b", finish_reason="stop")
    pieces, pauses = await gathered([openai("a"), last, b"data: [DONE]\n\n"])
    assert pieces == [openai("a"), last, b"data: [DONE]\n\n"]
    assert pauses == [0.1]


async def test_a_busy_process_lets_more_come_together() -> None:
    _, pauses = await gathered([delta("a")] * 4, late=0.02)
    assert pauses[0] == 0.1
    assert pauses[1] > 0.2
    _, pauses = await gathered([delta("a")] * 4, late=5)
    assert max(pauses) == 0.6


async def test_an_event_cut_in_two_is_put_together_and_a_torn_end_is_passed_on() -> None:
    whole = delta("ä") + delta("b")
    torn = b"data: {torn"
    pieces, _ = await gathered([whole[:70], whole[70:], torn])
    assert pieces[-1] == torn
    assert words(b"".join(pieces[:-1])) == words(whole)


@given(
    st.lists(st.sampled_from([START, STOP, TOOL, delta("x"), delta("é", 1), delta("\n\n"), delta("€ ")])),
    st.integers(1, 200),
)
async def test_however_it_is_cut_the_words_are_the_same(events: list[bytes], size: int) -> None:
    whole = b"".join(events)
    pieces, _ = await gathered([whole[at : at + size] for at in range(0, len(whole), size)])
    assert words(b"".join(pieces)) == words(whole)


def test_content_that_is_no_text_is_left_as_it_is() -> None:
    """Some servers send parts in a list."""
    parts = openai("").replace(b'"content": ""', b'"content": [{"type": "text", "text": "x"}]')
    nothing = delta("x").replace(b'"text": "x"', b'"text": null')
    for event in (parts, nothing):
        assert list(merged([event, event])) == [event, event]
