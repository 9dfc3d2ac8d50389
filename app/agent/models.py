"""From settings to a model: Anthropic, an OpenAI-compatible service, Ollama, or none.

An SDK is imported when its provider is chosen: the two together cost a second and 70 MB at start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings as RequestSettings

from app.agent.gathering import gathering
from app.settings import ModelSettings

ANTHROPIC_URL = "https://api.anthropic.com"
OPENAI_URL = "https://api.openai.com/v1"

Made = tuple[Model, Model, Callable[[], Awaitable[None]]]
"""The fast model, the strong one, and how to end their connections."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be asked: `model` first, `fallback` when it fails before its first word.

    `provider` is the word of MODEL_PROVIDER; `settings` go with every request and are the same for
    every request, because what they hold is part of the cached prefix.
    """

    provider: str
    name: str
    model: Model
    settings: RequestSettings
    fallback: Model | None = None


@dataclass(frozen=True)
class Models:
    """The fast model for conversations, the strong one for investigations."""

    fast: LoadedModel
    strong: LoadedModel
    close: Callable[[], Awaitable[None]]
    """Ends the connections of both."""


def load(
    settings: ModelSettings, *, connect_seconds: float = 5, silence_seconds: float = 60
) -> Models | None:
    """The models of the settings, None when there is none (the offline analyst answers then).

    `silence_seconds` is the longest pause of a model in the middle of an answer.
    """
    provider = settings.chosen
    if provider == "offline":
        return None
    deadlines = (connect_seconds, silence_seconds)
    if provider == "anthropic":
        fast, strong, close = _anthropic(settings, *deadlines)
    else:
        fast, strong, close = _openai_compatible(settings, provider, *deadlines)
    if fast.model_name == strong.model_name:
        only = LoadedModel(provider, settings.fast_name, fast, _request_settings(settings))
        return Models(only, only, close)
    return Models(
        LoadedModel(provider, settings.fast_name, fast, _request_settings(settings), fallback=strong),
        LoadedModel(provider, settings.strong_name, strong, _request_settings(settings), fallback=fast),
        close,
    )


def _request_settings(settings: ModelSettings) -> RequestSettings:
    if settings.chosen != "anthropic":
        return RequestSettings(max_tokens=settings.max_tokens, framing_announcement="never")
    from pydantic_ai.models.anthropic import AnthropicModelSettings  # noqa: PLC0415

    return AnthropicModelSettings(
        max_tokens=settings.max_tokens,
        framing_announcement="never",
        anthropic_cache=True,
        anthropic_cache_instructions=True,
        anthropic_cache_tool_definitions=True,
    )


def _anthropic(settings: ModelSettings, connect: float, silence: float) -> Made:
    import anthropic  # noqa: PLC0415
    from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
    from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

    key = settings.anthropic_api_key
    timeout = anthropic.Timeout(silence, connect=connect)
    client = anthropic.AsyncAnthropic(
        http_client=gathering(anthropic.DefaultAioHttpClient)(timeout=timeout),
        api_key=key.get_secret_value() if key else None,
        base_url=settings.anthropic_base_url or ANTHROPIC_URL,
        max_retries=1,
        timeout=timeout,
        open_telemetry=False,
    )
    provider = AnthropicProvider(anthropic_client=client)
    return (
        AnthropicModel(settings.fast_name, provider=provider),
        AnthropicModel(settings.strong_name, provider=provider),
        client.close,
    )


def _openai_compatible(settings: ModelSettings, name: str, connect: float, silence: float) -> Made:
    import openai  # noqa: PLC0415
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415
    from pydantic_ai.providers.ollama import OllamaProvider  # noqa: PLC0415
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    ollama = name == "ollama"
    key = None if ollama else settings.openai_api_key
    timeout = openai.Timeout(silence, connect=connect)
    client = openai.AsyncOpenAI(
        http_client=gathering(openai.DefaultAioHttpClient)(timeout=timeout),
        # Local services want no key, the SDK wants one.
        api_key=key.get_secret_value() if key else "none",
        base_url=settings.ollama_base_url if ollama else settings.openai_base_url or OPENAI_URL,
        max_retries=1,
        timeout=timeout,
    )
    provider = OllamaProvider(openai_client=client) if ollama else OpenAIProvider(openai_client=client)
    return (
        OpenAIChatModel(settings.fast_name, provider=provider),
        OpenAIChatModel(settings.strong_name, provider=provider),
        client.close,
    )
