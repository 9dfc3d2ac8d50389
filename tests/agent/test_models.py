"""From settings to models, and the same loop on an OpenAI-compatible service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage
from structlog.testing import capture_logs

from app.agent.budget import BudgetSpent
from app.agent.failures import ModelUnavailable
from app.agent.models import load
from app.agent.own_prices import PricesError, own_prices
from app.agent.prices import Prices
from app.agent.tally import RunLimits
from app.settings import ModelSettings
from tests.agent.stage import Stage, anthropic_settings
from tests.fakes.openai import FakeOpenAI
from tests.fakes.script import call, conclude, overloaded, say, wrong_key


@pytest.fixture(params=["openai", "ollama"])
async def other(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """The stage on an OpenAI-compatible service."""
    async with FakeOpenAI() as server:
        url = server.url + "/v1"
        models = load(
            ModelSettings(
                _env_file=None,
                MODEL_PROVIDER=request.param,
                MODEL="qwen3",
                OPENAI_API_KEY="sk-test",
                OPENAI_BASE_URL=url,
                OLLAMA_BASE_URL=url,
            ),
            silence_seconds=5,
        )
        assert models is not None
        yield Stage(server, models.fast)  # type: ignore[arg-type]
        await models.close()


async def test_an_openai_compatible_service_streams_calls_tools_and_concludes(other: Stage) -> None:
    other.shelf.files["slo.yaml"] = "target: 99.9"
    other.server.script.add(
        say("Looking.", call("read_file", path="README.md"), call("read_file", path="slo.yaml")),
        say("It takes payments.", conclude(0.6)),
    )

    answer = await other.ask("What is checkout?")

    assert (answer.text, answer.confidence) == ("Looking.\n\nIt takes payments.", 0.6)
    assert sorted(other.shelf.runs) == ["README.md", "slo.yaml"]
    first, second = (body["messages"] for body in other.server.requests)
    assert second[: len(first)] == first


@pytest.mark.parametrize(("other", "limit"), [("openai", "run"), ("ollama", None)], indirect=["other"])
async def test_a_model_of_unknown_price_runs_under_the_money_caps_unless_it_is_free(
    other: Stage, limit: str | None
) -> None:
    """The fake reads some hundred tokens: more than a tenth of a cent at $15 a million."""
    other.server.script.add(
        say("", call("read_file", path="README.md")), say("It takes payments.", conclude())
    )

    asking = other.ask("What is checkout?", limits=RunLimits(usd=Decimal("0.001")))

    if limit is None:
        assert (await asking).text == "It takes payments."
        return
    with pytest.raises(BudgetSpent) as refused:
        await asking
    assert refused.value.limit == limit
    assert len(other.server.requests) == 1


@pytest.mark.parametrize("fault", ["overloaded", "cut"])
async def test_its_broken_stream_is_repeated(other: Stage, fault: str) -> None:
    other.server.script.add(
        say("This is never finished at all", fault=fault), say("It takes payments.", conclude())
    )

    answer = await other.ask("What is checkout?")

    assert answer.text == other.progress.shown == "It takes payments."


@pytest.mark.parametrize(("failure", "reason"), [(wrong_key(), "key_refused"), (overloaded(), "overloaded")])
async def test_its_failures_have_the_same_reasons(other: Stage, failure: Any, reason: str) -> None:
    other.server.script.add(*[failure] * 6)

    with pytest.raises(ModelUnavailable) as refused:
        await other.ask("What is checkout?")

    assert refused.value.reason == reason


async def test_another_model_takes_over_before_the_first_word_and_stays(stage: Stage) -> None:
    models = load(anthropic_settings(stage.server.url, MODEL_STRONG="claude-sonnet-5-5"))
    assert models is not None
    stage.model = models.fast
    stage.server.script.add(overloaded(), say("It takes payments.", conclude()), say("Yes."))

    first = await stage.ask("What is checkout?")
    second = await stage.ask("Sure?")

    asked = [body["model"] for body in stage.server.requests]
    assert asked == ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-sonnet-5-5"]
    assert {first.model, second.model} == {"claude-sonnet-5-5"}
    await models.close()


def test_without_a_key_there_is_no_model() -> None:
    assert load(ModelSettings(_env_file=None)) is None


def response(model: str, **usage: int) -> ModelResponse:
    return ModelResponse(parts=[], model_name=model, usage=RequestUsage(**usage))


def test_a_listed_price_wins_and_cached_tokens_have_their_own(tmp_path: Path) -> None:
    listed = tmp_path / "prices.yaml"
    listed.write_text("claude-haiku-5-5: {input: 1, output: 5, cache_read: 0.1, cache_write: 1.25}\n")
    used = response(
        "claude-haiku-5-5",
        input_tokens=1_000_000,
        output_tokens=100_000,
        cache_read_tokens=500_000,
        cache_write_tokens=400_000,
    )

    assert Prices(own_prices(listed)).of("anthropic", used) == Decimal("0.1") + Decimal("0.05") + Decimal(
        "0.5"
    ) + Decimal("0.5")


def test_ollama_is_free_and_an_unknown_model_has_no_price() -> None:
    prices = Prices()
    assert prices.of("ollama", response("qwen3", input_tokens=10)) == 0
    assert prices.of("openai", response("made-up-model", input_tokens=10)) is None


def test_published_prices_are_known_for_the_default_models() -> None:
    assert Prices().of("anthropic", response("claude-haiku-5-5", input_tokens=1_000_000)) is not None


def test_an_unknown_model_counts_at_a_stated_price_and_is_warned_of_once() -> None:
    prices = Prices()
    used = response("made-up-model", input_tokens=1_000_000, output_tokens=100_000)
    with capture_logs() as logs:
        assert prices.counted("openai", used) == Decimal(15) + Decimal("7.5")
        assert prices.at("openai", "made-up-model", 1000, 0) == Decimal("0.015")
    [warning] = [each for each in logs if each["event"] == "model_price_unknown"]
    assert "$15 a million read and $75 a million written" in warning["hint"]


def test_a_price_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "prices.yaml"
    broken.write_text("claude: {input: much}\n")
    with pytest.raises(PricesError, match=r"prices\.yaml"):
        own_prices(broken)


@pytest.mark.slow
def test_without_a_model_no_sdk_is_imported() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, app.agent.run; print(*sorted({'anthropic', 'openai'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == ""


async def test_a_strong_model_goes_on_where_the_fast_one_has_answered(stage: Stage) -> None:
    """It is not taken for one that failed: a second look is asked of it on purpose."""
    models = load(anthropic_settings(stage.server.url, MODEL_STRONG="claude-sonnet-5-5"))
    assert models is not None
    stage.server.script.add(say("It takes payments.", conclude()), say("It does.", conclude()))

    stage.model = models.fast
    await stage.ask("What is checkout?")
    stage.model = models.strong
    await stage.ask("Sure?")

    assert [body["model"] for body in stage.server.requests] == ["claude-haiku-5-5", "claude-sonnet-5-5"]
    await models.close()
