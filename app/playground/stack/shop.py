"""What runs in the simulated stack while all is well: the example organisation's services, in figures.

Names and dependencies are those of the example catalog; rates, latencies and pools follow what the
services' own blueprints say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.playground.example import BLUEPRINTS

NAMESPACE = "shop"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Call:
    """A call a request makes: the route of the callee."""

    service: str
    route: str


@dataclass(frozen=True)
class Route:
    """`seconds` is the median of a log-normal latency of width `spread`; `rps` and `failing` are usual."""

    method: str
    path: str
    rps: float
    seconds: float
    spread: float = 0.35
    failing: float = 0.0004
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Pool:
    """Connections to a database, all instances of the service together."""

    name: str
    size: int
    usual: float


@dataclass(frozen=True)
class Service:
    """`cpu_per_request` is in core-seconds, `memory` in bytes a pod."""

    name: str
    depends_on: tuple[str, ...] = ()
    replicas: int = 2
    version: str = "1.14.2"
    team: str = ""
    tier: int = 3
    host: str = ""
    routes: tuple[Route, ...] = ()
    pools: tuple[Pool, ...] = ()
    queues: tuple[str, ...] = ()
    cpu_per_request: float = 0.004
    memory: float = 180 * MIB
    environment: tuple[tuple[str, str], ...] = ()


FIGURES: Mapping[str, Mapping[str, Any]] = {
    "checkout": {
        "replicas": 6,
        "host": "checkout.acme.example",
        "cpu_per_request": 0.013,
        "memory": 310 * MIB,
        "pools": (Pool("orders", 120, 31),),
        "routes": (
            Route("POST", "/cart/{id}/quote", 40, 0.085),
            Route(
                "POST",
                "/pay",
                12,
                0.42,
                calls=(
                    Call("inventory", "/reservations"),
                    Call("payments", "/v2/charges"),
                ),
            ),
            Route("GET", "/orders/{id}", 25, 0.022),
        ),
        "environment": (
            ("PAYMENTS_TIMEOUT_MS", "2000"),
            ("PAYMENTS_ATTEMPTS", "3"),
            ("INVENTORY_TIMEOUT_MS", "500"),
            ("DB_POOL_SIZE", "20"),
        ),
    },
    "payments": {
        "replicas": 5,
        "host": "payments.internal.acme.example",
        "cpu_per_request": 0.016,
        "memory": 640 * MIB,
        "pools": (Pool("ledger", 50, 19),),
        "routes": (
            Route("POST", "/v2/charges", 22, 0.25),
            Route("POST", "/v2/refunds", 0.8, 0.3),
            Route("GET", "/v2/charges/{id}", 38, 0.012),
        ),
        "environment": (
            ("LEDGER_POOL_SIZE", "50"),
            ("PROVIDER", "northpay"),
            ("RATE_LIMIT_PER_CALLER", "50"),
        ),
    },
    "inventory": {
        "replicas": 4,
        "host": "inventory.internal.acme.example",
        "cpu_per_request": 0.0035,
        "memory": 220 * MIB,
        "pools": (Pool("stock", 40, 11),),
        "routes": (
            Route("GET", "/stock/{sku}", 180, 0.006),
            Route("POST", "/reservations", 14, 0.085, 0.45),
            Route("DELETE", "/reservations/{id}", 3, 0.03),
        ),
        "environment": (("RESERVATION_MINUTES", "10"), ("LOCK_TIMEOUT_MS", "900")),
    },
    "notifications": {
        "replicas": 2,
        "host": "notifications.internal.acme.example",
        "queues": ("order-confirmed", "receipt"),
        "routes": (Route("POST", "/v1/messages", 9, 0.04),),
        "pools": (Pool("templates", 10, 2),),
        "memory": 140 * MIB,
        "environment": (("PROVIDER_RPS", "100"),),
    },
    # A job of the night: it has a pod once a day and answers no requests.
    "reports": {"replicas": 0, "version": "0.9.0"},
}
UNKNOWN: Mapping[str, Any] = {"routes": (Route("GET", "/", 5, 0.03),)}


@dataclass(frozen=True)
class Shop:
    """All services of the organisation, by name."""

    services: Mapping[str, Service]

    @classmethod
    def example(cls, catalog: Path = BLUEPRINTS / "services.yaml") -> Shop:
        """The services of a catalog file; one without figures of its own gets modest ones."""
        listed = yaml.safe_load(catalog.read_text("utf-8"))["services"]
        return cls({entry["name"]: _service(entry) for entry in listed})

    def route(self, service: str, path: str) -> Route:
        return next(route for route in self.services[service].routes if route.path == path)

    def callers_of(self, service: str) -> tuple[str, ...]:
        return tuple(name for name, each in self.services.items() if service in each.depends_on)


def _service(entry: Mapping[str, Any]) -> Service:
    name = entry["name"]
    figures = FIGURES.get(name, UNKNOWN)
    return Service(
        name=name,
        depends_on=tuple(entry.get("depends_on") or ()),
        team=entry.get("team", ""),
        tier=entry.get("tier", 3),
        **figures,
    )
