"""The pages under `/ops`, and `/metrics`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from app.operations.controls import Controls
from app.operations.models import (
    Config,
    DependencyList,
    Drained,
    Health,
    LevelChanged,
    Metrics,
    NewLevel,
    RecentErrorsTold,
    Status,
)
from app.operations.operations import Operations
from app.tracing import current_trace_id
from app.web.refusing import Refusal

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""https://prometheus.io/docs/instrumenting/exposition_formats/"""


def operation_routes(operations: Operations) -> APIRouter:
    """What only tells. Each answers 200 whatever it tells: these are pages, the probes are elsewhere."""
    routes = APIRouter(prefix="/ops", tags=["operations"])

    @routes.get("/status")
    async def status() -> Status:
        """Healthy, degraded or unhealthy, why, and the golden signals of the last sixty minutes."""
        return await operations.status()

    @routes.get("/health")
    async def health() -> Health:
        """Every dependency, asked now in parallel, each within three seconds; models, GitHub and git mirrors
        as they answered in earlier work."""
        return await operations.health()

    @routes.get("/metrics")
    async def metrics() -> Metrics:
        """Rates, percentiles, saturation, queues, tokens and money, as JSON. `/metrics` is for Prometheus."""
        return await operations.metrics()

    @routes.get("/config")
    async def config() -> Config:
        """The settings in force; secrets say only whether they are set, addresses carry no credentials."""
        return operations.config()

    @routes.get("/dependencies")
    async def dependencies() -> DependencyList:
        """What this process depends on, and what stops without each; nobody is asked."""
        return operations.listed()

    @routes.get("/errors")
    async def errors() -> RecentErrorsTold:
        """What went wrong lately, grouped by a stable code."""
        return await operations.recent_errors()

    return routes


def metrics_route(operations: Operations) -> APIRouter:
    routes = APIRouter(tags=["operations"])
    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

    @routes.get("/metrics", response_class=Response, responses=text)
    async def metrics() -> Response:
        """For Prometheus. Counters and histograms are this process's own; gauges out of the database, whose
        help says so, are the same on every replica."""
        return Response(await operations.exposition(), media_type=TEXT_FORMAT)

    return routes


def control_routes(controls: Controls) -> APIRouter:
    """What changes this process, and no other one."""
    refusals: dict[int | str, dict[str, Any]] = {422: {"model": Refusal}}
    routes = APIRouter(prefix="/ops", tags=["operations"], responses=refusals)

    @routes.post("/loglevel")
    async def loglevel(wanted: NewLevel) -> LevelChanged:
        """Log from this level on; until the process ends, or is told again."""
        return await controls.set_level(wanted.level, trace_id=current_trace_id())

    @routes.post("/drain")
    async def drain() -> Drained:
        """Take no new work: `/readyz` and webhooks answer 503, jobs go to others, running ones end here. The
        process stays until it is stopped; there is no way back but a restart."""
        return await controls.drain(trace_id=current_trace_id())

    return routes
