"""From settings to a model: Anthropic, an OpenAI-compatible service, Ollama, or none.

An SDK is a thousand modules, which cost up to two seconds and 40 MB. Only that of the chosen provider is
imported, and no start waits for it: a turn can be accepted, and its documents read, meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.later import Later
from app.settings import ModelSettings

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.models.anthropic import AnthropicModelSettings
    from pydantic_ai.settings import ModelSettings as RequestSettings

ANTHROPIC_URL = "https://api.anthropic.com"
OPENAI_URL = "https://api.openai.com/v1"
NO_RETRIES = 0
"""Whoever waits is told of a wait, and the other model is asked first; an SDK sleeps for as long as a service
asks it to, and tells nobody."""

Made = tuple["Model", "Model", Callable[[], Awaitable[None]]]
"""The fast model, the strong one, and how to end their connections."""


class Sdk(Later[Made]):
    """What speaks to a provider."""

    async def models(self) -> tuple[Model, Model]:
        """The fast one and the strong one."""
        fast, strong, _ = await self.get()
        return fast, strong

    async def close(self) -> None:
        if not self.is_begun:
            return
        with suppress(Exception):  # why it could not be made has been said to whoever asked for it
            *_, close = await self.begin()
            await close()


@dataclass(frozen=True, eq=False)
class ChosenModel:
    """A model to be asked, and the other one of its provider, for when it fails before its first word.

    `provider` is the word of MODEL_PROVIDER; `settings` go with every request and are the same for
    every request, because what they hold is part of the cached prefix. `silence_seconds` is the longest time
    without a word, before the first of an answer and within it.
    """

    provider: str
    name: str
    settings: RequestSettings
    sdk: Sdk
    other: str | None = None
    silence_seconds: float = 60

    async def candidates(self) -> tuple[Model, ...]:
        """Itself first, then the other one, if that is another."""
        wanted = [name for name in (self.name, self.other) if name]
        made = {model.model_name: model for model in await self.sdk.models()}
        return tuple(made[name] for name in wanted)


@dataclass(frozen=True)
class Models:
    """The fast model for conversations, the strong one for investigations."""

    fast: ChosenModel
    strong: ChosenModel
    sdk: Sdk

    async def warm(self) -> None:
        """Have ready what the first request would otherwise wait for."""
        await self.sdk.models()

    async def close(self) -> None:
        """Ends the connections of both."""
        await self.sdk.close()


def load(
    settings: ModelSettings, *, connect_seconds: float = 5, silence_seconds: float | None = None
) -> Models | None:
    """The models of the settings, None when there is none (the offline analyst answers then).

    `silence_seconds` goes before MODEL_SILENCE_SECONDS.
    """
    provider = settings.chosen
    if provider == "offline":
        return None
    silence = silence_seconds or settings.longest_silence
    deadlines = (connect_seconds, silence)
    if provider == "anthropic":
        sdk = Sdk(lambda: _anthropic(settings, *deadlines))
    else:
        sdk = Sdk(lambda: _openai_compatible(settings, provider, *deadlines))
    fast, strong, asking = settings.fast_name, settings.strong_name, _request_settings(settings)
    if fast == strong:
        only = ChosenModel(provider, fast, asking, sdk, silence_seconds=silence)
        return Models(only, only, sdk)
    return Models(
        ChosenModel(provider, fast, asking, sdk, strong, silence),
        ChosenModel(provider, strong, asking, sdk, fast, silence),
        sdk,
    )


def _request_settings(settings: ModelSettings) -> RequestSettings:
    if settings.chosen != "anthropic":
        return {"max_tokens": settings.max_tokens, "framing_announcement": "never"}
    asking: AnthropicModelSettings = {
        "max_tokens": settings.max_tokens,
        "framing_announcement": "never",
        "anthropic_cache": True,
        "anthropic_cache_instructions": True,
        "anthropic_cache_tool_definitions": True,
    }
    return asking


def _anthropic(settings: ModelSettings, connect: float, silence: float) -> Made:
    import anthropic  # noqa: PLC0415
    from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
    from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

    from app.agent.gathering import gathering  # noqa: PLC0415

    key = settings.anthropic_api_key
    timeout = anthropic.Timeout(silence, connect=connect)
    client = anthropic.AsyncAnthropic(
        http_client=gathering(anthropic.DefaultAioHttpClient)(timeout=timeout),
        api_key=key.get_secret_value() if key else None,
        base_url=settings.anthropic_base_url or ANTHROPIC_URL,
        max_retries=NO_RETRIES,
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

    from app.agent.gathering import gathering  # noqa: PLC0415

    ollama = name == "ollama"
    key = None if ollama else settings.openai_api_key
    timeout = openai.Timeout(silence, connect=connect)
    client = openai.AsyncOpenAI(
        http_client=gathering(openai.DefaultAioHttpClient)(timeout=timeout),
        # Local services want no key, the SDK wants one.
        api_key=key.get_secret_value() if key else "none",
        base_url=settings.ollama_base_url if ollama else settings.openai_base_url or OPENAI_URL,
        max_retries=NO_RETRIES,
        timeout=timeout,
    )
    provider = OllamaProvider(openai_client=client) if ollama else OpenAIProvider(openai_client=client)
    return (
        OpenAIChatModel(settings.fast_name, provider=provider),
        OpenAIChatModel(settings.strong_name, provider=provider),
        client.close,
    )
