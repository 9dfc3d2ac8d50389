"""How the benchmarks' model diagnoses: always the same five calls, then a brief; at the pace of a real model.

Which step it is at stands in the request itself: the number of answers it gave before.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.systems import NAMES
from tests.fakes.script import Call, Reply, call, conclude

TOKENS_A_STEP = 120
TOKENS_OF_BRIEF = 700
BYTES_PER_TOKEN = 4
TICK_SECONDS = 0.05
SERVICE = re.compile(r"\b(?:" + "|".join(NAMES) + r")(?:-0\d)?\b")
WORDS = (
    "The errors begin with the rollout and not before it so the next thing to see is whether callers agree "
)
SCRIPT = ("promql", "logql", "deploy_history", "kubernetes", "promql")


def is_diagnosis(body: dict[str, Any]) -> bool:
    """Whether a request is to end in a brief: its `conclude` asks for hypotheses."""
    return any(
        tool["name"] == "conclude" and "hypotheses" in tool["input_schema"]["properties"]
        for tool in body.get("tools", ())
    )


def reply(body: dict[str, Any], first_token_seconds: float, tokens_per_second: float | None) -> Reply:
    step = sum(message["role"] == "assistant" for message in body["messages"])
    pace = (first_token_seconds, tokens_per_second)
    if step >= len(SCRIPT):
        return Reply("", (BRIEF,), *pace)
    asked = _call(step, _service(body))
    words = TOKENS_A_STEP - len(json.dumps(asked.input)) // BYTES_PER_TOKEN - 8
    return Reply(" ".join((WORDS * TOKENS_A_STEP).split()[:words]), (asked,), *pace)


def _service(body: dict[str, Any]) -> str:
    found = SERVICE.search(json.dumps(body["messages"][0]["content"]))
    return found[0] if found else NAMES[0]


def _call(step: int, service: str) -> Call:
    return (
        call("promql", query=f'sum by (status) (rate(http_requests_total{{service="{service}"}}[2m]))'),
        call("logql", query=f'{{service="{service}"}} |~ "(?i)error"'),
        call("deploy_history", service=service),
        call("kubernetes", kind="pods"),
        call("promql", query=f'sum by (route) (rate(http_requests_total{{service="{service}"}}[5m]))'),
    )[step]


def _brief() -> Call:
    said: dict[str, Any] = {
        "headline": "One in four payments fails since the newest rollout",
        "hypotheses": [
            {
                "cause": f"hypothesis {number}",
                "tested_by": f"Seen in the metrics of its callers: {WORDS[:72]}",
                "verdict": verdict,
            }
            for number, verdict in enumerate(("kept", "rejected", "rejected"), 1)
        ],
        "impact": {"text": "People cannot pay for carts without a promotion.", "evidence": ["E1"]},
        "likely_cause": {"text": "The newest rollout.", "evidence": ["E1", "E2", "E3"]},
        "confidence": 0.85,
        "since": "the rollout",
        "status": "ongoing",
        "evidence": ["E1", "E2", "E3"],
        "next_steps": ["Check the error rate by version", "Review the rollout's diff"],
        "options": ["Roll back to the version before"],
    }
    lacking = TOKENS_OF_BRIEF * BYTES_PER_TOKEN - len(json.dumps(said))
    parts = ("impact", "likely_cause")
    for part in parts:
        text = said[part]["text"]
        said[part]["text"] = f"{text} {WORDS * 20}"[: len(text) + lacking // 3]
    said["follow_up"] = (WORDS * 20)[: min(400, lacking - 2 * (lacking // 3))]
    return conclude(**said)


BRIEF = _brief()


async def drawn_out(body: AsyncIterator[bytes], tokens_per_second: float) -> AsyncIterator[bytes]:
    """A stream whose tool calls come in pieces too, at that speed; the fake sends a call at once."""
    async for chunk in body:
        for event in chunk.split(b"\n\n"):
            if b"input_json_delta" in event:
                async for piece in _in_pieces(event, tokens_per_second):
                    yield piece
            elif event:
                yield event + b"\n\n"


async def _in_pieces(event: bytes, tokens_per_second: float) -> AsyncIterator[bytes]:
    name, _, data = event.partition(b"data: ")
    told = json.loads(data)
    whole = told["delta"]["partial_json"]
    step = max(1, round(tokens_per_second * TICK_SECONDS)) * BYTES_PER_TOKEN
    for start in range(0, len(whole), step):
        told["delta"]["partial_json"] = whole[start : start + step]
        yield name + b"data: " + json.dumps(told).encode() + b"\n\n"
        await asyncio.sleep(step / BYTES_PER_TOKEN / tokens_per_second)
