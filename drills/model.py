"""The model of the drills: answers name the question they belong to, so that one that comes twice is seen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from benchmarks import diagnosing
from benchmarks.model import READ
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Reply, call, conclude

MARK = re.compile(r"t\d{4}r\d{4}")
FIRST_TOKEN_SECONDS = 0.3
TOKENS_PER_SECOND = 60.0
WORDS = (
    "Checkout waits two seconds for a charge, and asks again once, as its contract with payments allows. " * 5
)
TOOL_CALL_EVERY = 3

Spoils = Callable[[Reply], Reply]


class Model(FakeAnthropic):
    """A model at the pace of a real one. `spoils` makes of every reply what it is while a fault lasts."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.answers: list[Reply] = []
        """What it says first in conversations, in order."""
        self.diagnoses: list[Reply] = []
        """The same in investigations."""
        self.spoils: Spoils | None = None

    def _reply(self, body: dict[str, Any]) -> Reply:
        scripted = self.diagnoses if diagnosing.is_diagnosis(body) else self.answers
        reply = scripted.pop(0) if scripted else usual(body)
        return self.spoils(reply) if self.spoils else reply


def usual(body: dict[str, Any]) -> Reply:
    if diagnosing.is_diagnosis(body):
        return diagnosing.reply(body, FIRST_TOKEN_SECONDS, None)
    pace = (FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND)
    mark = (MARK.findall(json.dumps(body["messages"])) or ["none"])[-1]
    # After a tool call the newest message holds its result and no question.
    asked = MARK.search(json.dumps(body["messages"][-1]))
    if asked and int(mark[1:5]) % TOOL_CALL_EVERY == 0:
        return Reply("", (call(READ[0], **READ[1]),), *pace)
    return Reply(f"{WORDS}{answer_to(mark)}.", (conclude(0.9),), *pace)


def answer_to(mark: str) -> str:
    """What every answer to the question of this mark says once."""
    return f"answer-{mark}"
