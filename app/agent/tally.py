"""What a turn has used so far, computed from its rows alone: a resumed turn counts on, not from zero."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from app.agent.answer import CONCLUDE

SAME_CALL_LIMIT = 3
"""The third call of one tool with the same arguments is not run: the model goes in circles."""

Price = Callable[[ModelResponse], Decimal]


@dataclass(frozen=True)
class RunLimits:
    """The caps of one run; 0 stands for none.

    `model_turns` counts responses of the model, `tool_calls` what the model asked for, failures
    included, `tokens` everything read and written.
    """

    tool_calls: int = 16
    model_turns: int = 20
    tokens: int = 0
    usd: Decimal = Decimal(0)


@dataclass(frozen=True)
class Tally:
    """Counts over one turn's rows. `usd` is what counts against the caps."""

    model_turns: int = 0
    tool_calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)
    in_circles: bool = False

    def closes_tools(self, limits: RunLimits) -> bool:
        """Whether the next request offers no tools, so that only the conclusion is left.

        The last model turn is kept for it, and the last fifth of the tokens and of the money.
        """
        return (
            self.in_circles
            or self.tool_calls >= limits.tool_calls
            or self.model_turns >= limits.model_turns - 1
            or (0 < limits.tokens * 4 <= self.tokens * 5)
            or (0 < limits.usd * 4 <= self.usd * 5)
        )

    def spent(self, limits: RunLimits) -> str | None:
        """The name of the cap that forbids one more request, if any."""
        if self.model_turns >= limits.model_turns:
            return f"{limits.model_turns} model turns"
        if 0 < limits.tokens <= self.tokens:
            return f"{limits.tokens} tokens"
        if 0 < limits.usd <= self.usd:
            return f"${limits.usd}"
        return None


def this_turn(history: Sequence[ModelMessage]) -> int:
    """Where the running turn begins: at the newest message of the user."""
    for index in range(len(history) - 1, -1, -1):
        message = history[index]
        if isinstance(message, ModelRequest) and any(isinstance(p, UserPromptPart) for p in message.parts):
            return index
    return 0


def tally(rows: Sequence[ModelMessage], price: Price) -> Tally:
    """Count over the rows of one turn."""
    responses = [row for row in rows if isinstance(row, ModelResponse)]
    calls = list(tool_calls(rows))
    return Tally(
        model_turns=len(responses),
        tool_calls=len(calls),
        tokens=sum(each.usage.input_tokens + each.usage.output_tokens for each in responses),
        usd=sum((price(each) for each in responses), Decimal(0)),
        in_circles=any(n >= SAME_CALL_LIMIT for n in Counter(map(fingerprint, calls)).values()),
    )


def tool_calls(rows: Sequence[ModelMessage]) -> Iterator[ToolCallPart]:
    """The calls of a turn in the order they were asked for, without the conclusion."""
    for row in rows:
        if isinstance(row, ModelResponse):
            yield from (call for call in row.tool_calls if call.tool_name != CONCLUDE)


def refusals(rows: Sequence[ModelMessage], limits: RunLimits) -> dict[str, str]:
    """Calls that are not to be run, by id, each with the sentence the model is told instead."""
    refused: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for number, call in enumerate(tool_calls(rows), 1):
        key = fingerprint(call)
        seen[key] += 1
        if number > limits.tool_calls:
            refused[call.tool_call_id] = (
                f"Not run: all {limits.tool_calls} tool calls of this turn are used up. "
                "Answer with what you have and say what is missing."
            )
        elif seen[key] >= SAME_CALL_LIMIT:
            refused[call.tool_call_id] = (
                f"Not run: this is call {seen[key]} of {call.tool_name} with the same arguments; the result "
                "above will not change. Answer with what you have and say what is missing."
            )
    return refused


def journal_keys(rows: Sequence[ModelMessage]) -> dict[str, str]:
    """The name in the journal of each call of the newest response, by call id.

    It is the call's id, except that some services number the calls of every response from zero: a
    call that would take an earlier one's name carries its place in the turn too.
    """
    keys: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for call in tool_calls(rows):
        seen[call.tool_call_id] += 1
        times = seen[call.tool_call_id]
        keys[call.tool_call_id] = call.tool_call_id if times == 1 else f"{call.tool_call_id}#{times}"
    return keys


def labels(rows: Sequence[ModelMessage], first: int | None) -> dict[str, str]:
    """The evidence each call of the newest response is, by call id: E7 for the first call of the turn when
    `first` is 7. Which number a call has depends on the stored rows alone."""
    if first is None:
        return {}
    return {call.tool_call_id: f"E{number}" for number, call in enumerate(tool_calls(rows), first)}


def fingerprint(call: ToolCallPart) -> str:
    return call.tool_name + json.dumps(call.args_as_dict(), sort_keys=True, default=str)


def text_of(rows: Sequence[ModelMessage]) -> str:
    """The prose of all responses, in order, a paragraph break between two."""
    pieces = [response_text(row) for row in rows if isinstance(row, ModelResponse)]
    return "\n\n".join(piece for piece in pieces if piece)


def response_text(response: ModelResponse) -> str:
    return "".join(part.content for part in response.parts if isinstance(part, TextPart)).strip()


def prose_of(response: ModelResponse) -> ModelResponse:
    """A response without its calls: where it was cut, the last of them is half written."""
    return replace(response, parts=[part for part in response.parts if not isinstance(part, ToolCallPart)])


def concluded(rows: Sequence[ModelMessage], *, by_prose: bool = True) -> bool:
    """Whether the turn is over: its conclusion was accepted, or its last response is prose alone where that
    is an end."""
    if not rows:
        return False
    last = rows[-1]
    if isinstance(last, ModelResponse):
        return by_prose and not last.tool_calls and bool(response_text(last))
    return any(
        isinstance(part, ToolReturnPart) and part.tool_name == CONCLUDE and part.outcome == "success"
        for part in last.parts
    )
