"""The parts that look into things: what is configured is there, what is not is not offered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.own_prices import PricesError
from app.context.folder import Folder
from app.context.library import Library
from app.context.repos import Repos
from app.knowledge.keeping import Keeper
from app.knowledge.packaged import packaged_path
from app.parts import Parts
from app.settings import Settings
from app.storage.engine import create_engine

Make = Callable[..., Parts]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Parts of some settings, on a database nobody asks."""
    engine: AsyncEngine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    keeper = Keeper(Folder(packaged_path()))
    library = Library(None)
    await keeper.refresh()
    await library.refresh()

    def made(**values: str) -> Parts:
        settings = Settings.load(env_file=None, **values)
        return Parts.of(settings, engine, (keeper, library, Repos(tmp_path, engine)), None)

    yield made
    await engine.dispose()


def offered(parts: Parts) -> set[str]:
    return {tool.name for tool in parts.means().tools}


async def test_a_tool_is_offered_where_its_source_is_configured(make: Make) -> None:
    bare = make()
    told = make(
        PROMETHEUS_URL="http://prometheus.example",
        LOKI_URL="http://loki.example",
        TEMPO_URL="http://tempo.example",
        SERVICE_REGISTRY="checkout|http://checkout.example|critical",
    )
    assert not offered(bare) & {"promql", "logql", "traces", "kubernetes", "call_ops_endpoint", "on_call"}
    assert {"read_service_file", "runbook_search"} <= offered(bare)
    assert {"promql", "logql", "traces", "call_ops_endpoint"} <= offered(told)
    await told.clients.aclose()
    await bare.clients.aclose()


async def test_only_critical_services_of_the_registry_page_first(make: Make) -> None:
    parts = make(SERVICE_REGISTRY="checkout|http://checkout.example|critical,search|http://search.example|")
    assert parts.intake().critical == {"checkout"}
    await parts.clients.aclose()


async def test_the_limits_are_those_of_the_settings(make: Make) -> None:
    parts = make(STORM_INCIDENTS="3", STORM_WINDOW_SECONDS="30")
    assert str(parts.intake().limits) == "a storm of more than 3 incidents in 30 s"
    await parts.clients.aclose()


async def test_a_list_of_prices_that_cannot_be_read_stops_the_start(make: Make, tmp_path: Path) -> None:
    """Before there is anything to close, and not at the first question."""
    listed = tmp_path / "prices.yaml"
    listed.write_text("claude-haiku-5-5: {input: much}")
    with pytest.raises(PricesError, match=r"prices\.yaml"):
        make(MODEL_PRICES=str(listed))
