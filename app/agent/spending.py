"""What was asked of models and what it cost, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

BY_DAY = text("""
WITH today AS (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS begin), counted AS (
    SELECT CAST(created_at AT TIME ZONE 'UTC' AS date) AS day, provider, model,
           count(*) AS requests, sum(input_tokens) AS input, sum(cache_read_tokens) AS cached,
           sum(output_tokens) AS output, sum(usd) AS usd, count(*) FILTER (WHERE usd IS NULL) AS unpriced
      FROM usage, today
     WHERE created_at >= today.begin - make_interval(days => :before)
     GROUP BY 1, 2, 3
)
SELECT to_char(day, 'YYYY-MM-DD') AS day, provider || ' ' || model AS model,
       requests, input, cached, output, usd, unpriced
  FROM counted ORDER BY 1, 2
""")
"""Grouped by what is stored: of texts made for each request, the planner expects one group each and sorts."""
OF_INVESTIGATIONS = text("""
WITH today AS (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS begin)
SELECT count(*) AS requests, count(DISTINCT turn_id) AS diagnoses, sum(usage.usd) AS usd,
       count(*) FILTER (WHERE usage.usd IS NULL) AS unpriced
  FROM usage JOIN turns ON turns.id = usage.turn_id AND turns.kind = 'alert', today
 WHERE usage.created_at >= today.begin - make_interval(days => :before)
""")
HEAD = ("day (UTC)", "model", "requests", "input", "cached", "output", "USD")


async def report(engine: AsyncEngine, *, days: int) -> str:
    """The last `days` days, today included, by day and model, and their sum."""
    async with engine.connect() as connection:
        rows = (await connection.execute(BY_DAY, {"before": days - 1})).mappings().all()
        diagnosed = (await connection.execute(OF_INVESTIGATIONS, {"before": days - 1})).one()
    if not rows:
        return f"No model was asked in the last {days} days."
    lines = [
        (
            str(row["day"]),
            str(row["model"]),
            *(f"{row[name]:,}" for name in ("requests", "input", "cached", "output")),
            _usd(row["usd"], row["unpriced"]),
        )
        for row in rows
    ]
    total = ["total", ""]
    total += [f"{sum(row[name] for row in rows):,}" for name in ("requests", "input", "cached", "output")]
    spent = sum((row["usd"] or Decimal(0) for row in rows), Decimal(0))
    unpriced = sum(row["unpriced"] for row in rows)
    said = table([HEAD, *lines, (*total, _usd(spent, unpriced))])
    if diagnosed.requests:
        said += (
            f"\nOf it {diagnosed.requests:,} requests for {diagnosed.diagnoses:,} diagnoses of incidents: "
            f"{_usd(diagnosed.usd, diagnosed.unpriced)} USD."
        )
    return said + (
        "\n+ means: and requests to models whose price nobody knows (MODEL_PRICES)." if unpriced else ""
    )


def _usd(spent: Any, unpriced: int) -> str:
    return f"{Decimal(spent or 0):.4f}" + ("+" if unpriced else "")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, the first two to the left and the rest, numbers, to the right. Pure."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
