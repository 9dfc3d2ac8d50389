"""A request to a model as telemetry tells it: OpenTelemetry's GenAI conventions, without what is said.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic_ai.messages import ModelResponse

from app import tracing
from app.agent.failures import MODEL_FAILED, explain
from app.agent.models import ChosenModel
from app.instruments import MODEL_REQUESTS
from app.standing import STANDINGS

PROVIDERS = {"anthropic": "anthropic", "openai": "openai"}
"""Names of the conventions by the words of MODEL_PROVIDER; others stay as they are."""


@dataclass
class Sent:
    """One request on its way."""

    span: tracing.Span
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def answered(self, response: ModelResponse | None) -> None:
        if response is None:
            return
        usage, reason = response.usage, response.finish_reason
        self.span.set(
            {
                "gen_ai.response.model": response.model_name,
                "gen_ai.response.id": response.provider_response_id,
                "gen_ai.response.finish_reasons": [reason] if reason else None,
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            }
        )


@contextmanager
def sent(model: ChosenModel, session_id: int | None) -> Iterator[Sent]:
    """Around one request: its span, its length, and whether the model is well."""
    provider = PROVIDERS.get(model.provider, model.provider)
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model.name,
    }
    more: tracing.Attributes = {
        **said,
        "gen_ai.request.max_tokens": model.settings.get("max_tokens"),
        "gen_ai.conversation.id": str(session_id) if session_id is not None else None,
    }
    trouble = ""
    with tracing.span(f"chat {model.name}", more, kind="client") as span:
        request = Sent(span)
        try:
            yield request
            STANDINGS.answered("model", request.seconds)
        except MODEL_FAILED as error:
            failure = explain(error, model.name)
            trouble = failure.reason
            span.fail(trouble)
            STANDINGS.failed("model", failure.sentence)
            raise
        except BaseException as error:
            trouble = type(error).__name__
            raise
        finally:
            MODEL_REQUESTS.record(request.seconds, **said, **{"error.type": trouble})
