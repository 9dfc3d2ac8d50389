from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.catalog import Catalog
from app.context.models import Service
from app.investigations.alert import Alert
from app.investigations.intake import Intake, StormLimits
from app.investigations.services import CatalogServices

STARTED = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SHOP = Catalog(
    MappingProxyType(
        {
            service.name: service
            for service in (
                Service(
                    name="checkout", aliases=("shop-checkout",), tier=1, depends_on=("payments", "stock")
                ),
                Service(name="payments", tier=1, depends_on=("payments-db",)),
                Service(name="payments-db", tier=1),
                Service(name="stock", tier=2),
                Service(name="mail", tier=3),
                Service(name="reports", tier=4, depends_on=("warehouse",)),
                Service(name="warehouse", tier=3),
                Service(name="search", tier=2),
            )
        }
    )
)


@pytest.fixture
def intake(engine: AsyncEngine) -> Intake:
    return intake_on(engine)


def intake_on(engine: AsyncEngine, **limits: Any) -> Intake:
    return Intake(
        engine,
        CatalogServices(lambda: SHOP),
        frozenset({"payments"}),
        StormLimits(**{"incidents": 10, **limits}),
    )


def alert(key: str = "Q1", **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "source": "pagerduty",
        "incident_key": key,
        "title": "High error rate on checkout",
        "service": "checkout",
        "severity": "P2",
        "started_at": STARTED,
    }
    return Alert(**{**values, **changes})


Rows = Callable[[str], Any]


@pytest.fixture
def rows(engine: AsyncEngine) -> Rows:
    async def read(statement: str) -> list[tuple[Any, ...]]:
        async with engine.begin() as connection:
            found = await connection.execute(text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

    return read
