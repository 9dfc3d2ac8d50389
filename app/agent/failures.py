"""Why a model did not answer: said so that a person can act on it, and whether trying again can help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic_ai import exceptions as fault
from pydantic_ai.messages import ModelResponse

from app.errors import AgentError

Reason = Literal[
    "key_refused", "no_credit", "overloaded", "unreachable", "timed_out", "rejected", "no_answer"
]


class ModelUnavailable(AgentError):
    """The model gave no answer; whoever asked answers without it and passes the sentence on."""

    code = "model_unavailable"
    status = 503

    def __init__(self, sentence: str, reason: Reason) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True)
class Failure:
    """One failure understood. `passing` ones may be gone at the next attempt."""

    reason: Reason
    sentence: str
    passing: bool = False
    retry_after: float | None = None


MODEL_FAILED = fault.AgentRunError
"""Failures of the model; a stale attempt or a lost database passes through."""

TOO_LONG = ("exceed context limit", "exceeds the available context", "context window", "context length")
"""How services without a code for it say that a prompt is too long: Anthropic when it leaves no room for the
answer, llama.cpp, others."""


class CutByWindow(fault.ModelContextWindowExceededError):
    """The model wrote until prompt and answer together were all it can read."""

    def __init__(self, response: ModelResponse) -> None:
        super().__init__(response.model_name or "", "The answer was cut where the context window ends.")
        self.response = response


def is_cut_by_window(response: ModelResponse, max_tokens: int | None) -> bool:
    """Whether an answer ends where the context window does, and not at `max_tokens`.

    Anthropic says which (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons), other
    services say `length` for both: then an answer that is shorter than allowed was cut by the window.
    """
    if response.finish_reason != "length":
        return False
    said = str((response.provider_details or {}).get("finish_reason"))
    if said in ("max_tokens", "model_context_window_exceeded"):
        return said == "model_context_window_exceeded"
    return response.usage.total_tokens > 0 and response.usage.output_tokens < (max_tokens or 0)


def is_too_long(error: BaseException) -> bool:
    """Whether the model would answer a shorter prompt."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_too_long, error.exceptions))
    said = str(error).lower()
    return isinstance(error, fault.ModelContextWindowExceededError) or (
        isinstance(error, fault.ModelRequestRejectedError) and any(words in said for words in TOO_LONG)
    )


@dataclass(frozen=True)
class Backoff:
    """How often and how patiently a step is repeated: at most `attempts` requests in a row without progress,
    the last of them sent within `patience_seconds`.

    The wait doubles from `first_seconds`, never exceeds `longest_seconds` and is at least what the
    service asked for; when it asks for more than `longest_seconds`, waiting is pointless.
    """

    attempts: int = 5
    first_seconds: float = 1
    longest_seconds: float = 20
    patience_seconds: float = 40

    def wait(self, failures: int, failure: Failure, waited: float = 0) -> float | None:
        """Seconds before the next attempt after `failures` in a row, in which somebody has `waited` for so
        many seconds already; None to give up."""
        if not failure.passing or failures >= self.attempts:
            return None
        if failure.retry_after is not None and failure.retry_after > self.longest_seconds:
            return None
        doubled = self.first_seconds * 2.0 ** (failures - 1)
        wait = max(min(doubled, self.longest_seconds), failure.retry_after or 0)
        return wait if waited + wait < self.patience_seconds else None


def explain(error: BaseException, name: str) -> Failure:
    """Sort an exception of the model layer; `name` is the model's, for the sentence."""
    if isinstance(error, BaseExceptionGroup) and error.exceptions:
        return explain(error.exceptions[0], name)
    for kind, explained in KINDS:
        if isinstance(error, kind):
            return explained(error, name)
    return Failure("no_answer", f"The model {name} gave no usable answer ({type(error).__name__}).")


def _retry_after(error: BaseException) -> float | None:
    asked = getattr(error, "retry_after", None)
    return float(asked) if isinstance(asked, int | float) else None


def _always(reason: Reason, sentence: str) -> Callable[[BaseException, str], Failure]:
    return lambda error, name: Failure(reason, sentence.format(name=name))


def _passing(reason: Reason, sentence: str) -> Callable[[BaseException, str], Failure]:
    return lambda error, name: Failure(
        reason, sentence.format(name=name), passing=True, retry_after=_retry_after(error)
    )


# The first kind that fits decides, so the special ones precede the general ones.
KINDS: tuple[tuple[type[BaseException], Callable[[BaseException, str], Failure]], ...] = (
    (
        fault.ModelAuthenticationError,
        _always("key_refused", "The model service refused the API key; check the key of {name}."),
    ),
    (
        fault.ModelQuotaExceededError,
        _always("no_credit", "The account of {name} has no credit or quota left."),
    ),
    (
        fault.ModelContextWindowExceededError,
        _always("rejected", "The conversation is longer than {name} can read; start a new thread."),
    ),
    (
        fault.ModelNotFoundError,
        _always("rejected", "There is no model {name}; check MODEL and the base URL."),
    ),
    (
        fault.ModelRequestRejectedError,
        _always("rejected", "The model service rejected the request to {name}."),
    ),
    (fault.ModelRateLimitError, _passing("overloaded", "The model {name} is at its rate limit.")),
    (fault.ModelUnavailableError, _passing("overloaded", "The model {name} is overloaded.")),
    (fault.ModelServerError, _passing("overloaded", "The model service of {name} answers with errors.")),
    (fault.ModelTimeoutError, _passing("timed_out", "The model {name} did not answer in time.")),
    (fault.ModelRequestTimeout, _passing("timed_out", "The model {name} did not answer in time.")),
    (fault.ModelConnectionError, _passing("unreachable", "The model service of {name} cannot be reached.")),
    (fault.ContentFilterError, _always("no_answer", "The model {name} declined to answer this.")),
    (
        fault.OutputTokenLimitExceeded,
        _always("no_answer", "The answer of {name} did not fit MODEL_MAX_TOKENS."),
    ),
    (fault.ModelAPIError, _passing("unreachable", "The model service of {name} failed.")),
)
