"""The incidents one can start, by name. Each holds together by itself: read it as a short story."""

from __future__ import annotations

from app.playground.stack.scenario import (
    Before,
    Effect,
    Failure,
    Happening,
    Notice,
    Paging,
    Rollout,
    Scenario,
    Truth,
)

HOUR = 3600.0
DAY = 24 * HOUR

# One person changes how a cart's promotion is read. Carts without one, four in ten, make /pay panic.
# Stock was reserved before that; the charge never happens, so payments and notifications have less to do.
BAD_DEPLOY = Scenario(
    name="bad-deploy",
    title="A deploy of checkout breaks /pay for carts without a promotion",
    paging=Paging(
        rule="HighErrorRate",
        service="checkout",
        summary="checkout answers more than 5 % of requests with 5xx",
        description="5xx ratio of checkout has been above 5 % for 2 minutes.",
    ),
    truth=Truth(
        statement="checkout 1.15.0 dereferences the promotion of carts that have none; /pay panics",
        kinds=("change",),
        service="checkout",
        must_find=("1.15.0", "/pay", "nil pointer"),
        change="1.15.0",
        innocent=("1.14.3",),
    ),
    failures=(
        Failure(
            name="nil-promotion",
            service="checkout",
            route="/pay",
            status="500",
            share=0.41,
            seconds=0.12,
            error="runtime error: invalid memory address or nil pointer dereference",
            lines=(
                "http: panic serving /pay: runtime error: invalid memory address or nil pointer dereference "
                "at internal/pay/promotion.go:31",
            ),
            version="1.15.0",
            at=-120,
            ramp=1,
        ),
    ),
    effects=(
        Effect("payments", "rps", 0.78, of=("/v2/charges",), at=-40, ramp=80),
        Effect("notifications", "rps", 0.62, at=-40, ramp=80),
    ),
    rollouts=(
        Rollout(
            service="checkout",
            version="1.15.0",
            at=-45,
            message="Apply the cart's promotion before charging",
            author="Jonas Weber",
            files=("internal/pay/promotion.go", "internal/pay/handler.go", "deploy/deployment.yaml"),
            roll_seconds=110,
        ),
        Rollout(
            service="notifications",
            version="1.14.3",
            at=-2.2 * HOUR,
            message="Update the texts of the receipt",
            author="Priya Nair",
            files=("templates/receipt.html", "deploy/deployment.yaml"),
        ),
    ),
    before=(
        Before(23, "checkout answers more than 5 % of requests with 5xx", "Rolled back 1.12.0"),
        Before(96, "checkout answers more than 5 % of requests with 5xx", "payments was in maintenance"),
    ),
)

# A reconciliation run of payments takes connections to the ledger and keeps them. The pool of 50 runs
# full, charges wait a second for a connection and give up; checkout tries three times and gives up too.
POOL_EXHAUSTED = Scenario(
    name="pool-exhausted",
    title="The ledger's connection pool of payments is exhausted, and checkout pages",
    paging=Paging(
        rule="HighErrorRate",
        service="checkout",
        summary="checkout answers more than 5 % of requests with 5xx",
        description="5xx ratio of checkout has been above 5 % for 2 minutes.",
        delay=210,
    ),
    truth=Truth(
        statement="payments has no free connection to the ledger: a reconciliation run holds them",
        kinds=("saturation", "dependency"),
        service="payments",
        must_find=("payments", "ledger", "pool"),
        innocent=("1.14.3",),
    ),
    failures=(
        Failure(
            name="no-connection",
            service="payments",
            route="/v2/charges",
            status="503",
            share=0.52,
            seconds=1.02,
            error="timed out after 1000 ms waiting for a connection of pool ledger",
            lines=("charge refused: no connection of pool ledger within 1000 ms (in use 50 of 50)",),
            at=20,
            ramp=90,
        ),
        Failure(
            name="not-charged",
            service="checkout",
            route="/pay",
            status="502",
            share=0.55,
            seconds=3.3,
            error="charge: payments answered 503",
            lines=("pay refused: not_charged: payments answered 503 after 3 attempts",),
            through="no-connection",
            attempts=3,
            at=25,
            ramp=90,
        ),
    ),
    effects=(
        Effect("payments", "pool", 3.4, of=("ledger",), at=-30, ramp=70),
        Effect("payments", "latency", 3.6, of=("/v2/charges", "/v2/refunds"), at=0, ramp=80),
        Effect("payments", "rps", 1.75, of=("/v2/charges",), at=25, ramp=90),
        Effect("checkout", "latency", 2.9, of=("/pay",), at=10, ramp=80),
        Effect("notifications", "rps", 0.6, at=30, ramp=90),
    ),
    notices=(
        Notice("payments", "info", "reconciliation started: period=last-quarter batch=50000", at=-40),
        Notice("payments", "info", "reconciliation: batch read, transaction open", at=-20, every=45),
        Notice(
            "payments", "warn", "pool ledger: connection held for more than 30 s by reconciliation", 10, 20
        ),
    ),
    rollouts=(
        Rollout(
            service="inventory",
            version="1.14.3",
            at=-18 * 60,
            message="Log the warehouse of a reservation",
            author="Tom Okafor",
            files=("src/reservations.ts", "deploy/deployment.yaml"),
        ),
    ),
    before=(
        Before(28, "payments: charges slow, checkout /pay failing", "Reconciliation stopped; pool recovered"),
        Before(59, "payments: charges slow, checkout /pay failing", "Ledger pool full during reconciliation"),
    ),
)

# A campaign brings five times the shoppers. Charges pass the 50 rps payments grants one caller (429), the
# processors of checkout run full. Four minutes before, checkout got a harmless new version.
TRAFFIC_SURGE = Scenario(
    name="traffic-surge",
    title="Five times the traffic overloads checkout, minutes after a harmless deploy",
    paging=Paging(
        rule="HighLatency",
        service="checkout",
        summary="checkout's p99 latency is above 1 s",
        description="99th percentile of checkout's request duration has been above 1 s for 2 minutes.",
        delay=200,
    ),
    truth=Truth(
        statement="traffic grew fivefold; checkout's CPU and payments' limit per caller are reached",
        kinds=("traffic",),
        service="checkout",
        must_find=("traffic", "checkout", "429"),
        innocent=("1.14.3",),
    ),
    failures=(
        Failure(
            name="limited",
            service="payments",
            route="/v2/charges",
            status="429",
            share=0.14,
            seconds=0.004,
            error="rate limit of caller checkout exceeded (50 per second)",
            lines=("charge refused: rate limit of caller checkout exceeded (50 per second)",),
            at=50,
            ramp=70,
        ),
        Failure(
            name="limited-pay",
            service="checkout",
            route="/pay",
            status="502",
            share=0.11,
            seconds=2.4,
            error="charge: payments answered 429",
            lines=("pay refused: not_charged: payments answered 429 after 3 attempts",),
            through="limited",
            attempts=3,
            at=50,
            ramp=70,
        ),
        Failure(
            name="overloaded",
            service="checkout",
            route="/cart/{id}/quote",
            status="503",
            share=0.07,
            seconds=0.9,
            error="deadline exceeded before the work began",
            lines=("request refused: 400 in flight, deadline exceeded before the work began",),
            at=60,
            ramp=80,
        ),
    ),
    effects=(
        Effect("checkout", "rps", 5.0, at=0, ramp=75),
        Effect("checkout", "latency", 6.0, at=30, ramp=90),
        Effect("checkout", "memory", 1.6, at=20, ramp=120),
        Effect("payments", "rps", 3.1, at=5, ramp=80),
        Effect("payments", "latency", 1.5, of=("/v2/charges",), at=30, ramp=90),
        Effect("inventory", "rps", 3.6, at=5, ramp=80),
        Effect("inventory", "latency", 1.4, of=("/reservations",), at=30, ramp=90),
        Effect("notifications", "rps", 3.8, at=15, ramp=80),
        Effect("notifications", "queue", 90.0, of=("order-confirmed",), at=40, ramp=400),
    ),
    notices=(
        Notice("checkout", "warn", "runtime: scheduler latency above 100 ms, all processors busy", 45, 12),
    ),
    happenings=(
        Happening(
            "checkout",
            "Unhealthy",
            "Readiness probe failed: Get /readyz: context deadline exceeded",
            110,
            count=4,
        ),
    ),
    rollouts=(
        Rollout(
            service="checkout",
            version="1.14.3",
            at=-260,
            message="Correct a typo in the order's log line",
            author="Maya Lindqvist",
            files=("internal/orders/log.go", "deploy/deployment.yaml"),
        ),
    ),
    before=(Before(357, "checkout's p99 latency is above 1 s", "Winter sale; scaled to 18 instances"),),
)

# Nobody renewed the certificate of payments' host. From the second it ends checkout refuses the handshake:
# every /pay fails quickly, payments itself is well and has next to nothing to do.
EXPIRED_CERTIFICATE = Scenario(
    name="expired-certificate",
    title="The certificate of payments' host has expired, checkout cannot charge",
    paging=Paging(
        rule="HighErrorRate",
        service="checkout",
        summary="checkout answers more than 5 % of requests with 5xx",
        description="5xx ratio of checkout has been above 5 % for 2 minutes.",
        delay=150,
    ),
    truth=Truth(
        statement="the TLS certificate of payments.internal.acme.example expired; callers refuse it",
        kinds=("certificate",),
        service="payments",
        must_find=("certificate", "payments.internal.acme.example", "expired"),
        innocent=("1.14.3",),
    ),
    failures=(
        Failure(
            name="handshake",
            service="checkout",
            route="/pay",
            status="502",
            share=0.985,
            seconds=0.14,
            error="tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
            lines=(
                'charge failed: Post "https://payments.internal.acme.example/v2/charges": tls: failed to '
                "verify certificate: x509: certificate has expired or is not yet valid",
                "pay refused: not_charged",
            ),
            callee="payments",
            attempts=3,
            at=0,
            ramp=8,
        ),
    ),
    effects=(
        Effect("payments", "rps", 0.45, of=("/v2/charges",), at=0, ramp=10),
        Effect("payments", "rps", 0.34, of=("/v2/charges/{id}",), at=0, ramp=10),
        Effect("notifications", "rps", 0.12, at=5, ramp=30),
    ),
    happenings=(
        Happening(
            service="payments",
            reason="Failed",
            message="The certificate request has failed to complete and will be retried: issuer internal-ca "
            "is not ready",
            at=-2.6 * HOUR,
            kind="Certificate",
            object_name="payments-tls",
            count=19,
        ),
    ),
    rollouts=(
        Rollout(
            service="inventory",
            version="1.14.3",
            at=-2.4 * HOUR,
            message="Cache free stock for 5 s",
            author="Tom Okafor",
            files=("src/stock.ts", "deploy/deployment.yaml"),
        ),
    ),
    expiries={"payments": 0.0},
    before=(Before(368, "checkout cannot reach payments", "Certificate of payments renewed by hand"),),
)

SCENARIOS = {each.name: each for each in (BAD_DEPLOY, POOL_EXHAUSTED, TRAFFIC_SURGE, EXPIRED_CERTIFICATE)}
