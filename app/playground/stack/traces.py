"""The spans of a kept request: its own, those of the services it calls, and theirs at their databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.playground.stack.noise import salt
from app.playground.stack.requests import Sampled
from app.playground.stack.scenario import Failure
from app.playground.stack.shop import Call, Route
from app.playground.stack.story import Story
from app.signals.models import Span

OWN_PART = 0.15
"""The part of a route's usual time that is the service's own work."""


def spans(story: Story, request: Sampled) -> tuple[Span, ...]:
    """All spans of the request, the root first; times are seconds since the epoch."""
    return tuple(_Tracing(story, request).all())


@dataclass
class _Tracing:
    story: Story
    request: Sampled
    found: list[Span] = field(default_factory=list)

    def all(self) -> list[Span]:
        request = self.request
        start = request.at - request.seconds
        root = self._server(None, request.route, request.failure)
        calls = self._calls()
        wholly = sum(weight for _, weight, _ in calls) + self._own()
        at = start + request.seconds * self._own() / wholly / 2
        for call, weight, failure in calls:
            seconds = request.seconds * weight / wholly
            self._client(root, call, at, seconds, failure)
            at += seconds
        if request.failure and not (request.failure.through or request.failure.callee or self._waited()):
            self._failing_step(root, at, request.failure)
        if calls and not request.failure:
            self._order_confirmed(root, at)
        return self.found

    # --- who is called, how long, how well ---------------------------------------------------------------

    def _own(self) -> float:
        """Seconds of own work; with more requests than usual they wait for each other."""
        crowd = self.story.factor(self.request.service, "rps", self.request.route.path, self.request.at)
        return OWN_PART * self.request.route.seconds * float(max(1.0, crowd) ** 1.5)

    def _calls(self) -> list[tuple[Call, float, Failure | None]]:
        """Each call with its weight in time; a failing one is made `attempts` times and is the last."""
        made: list[tuple[Call, float, Failure | None]] = []
        failure = self.request.failure
        for call in self.request.route.calls:
            below = self._below(failure, call.service)
            if below:
                return made + [(call, below.seconds, below)] * (failure.attempts if failure else 1)
            made.append((call, self._usual_seconds(call), None))
            # Stock is reserved before the cart's promotion is read; whoever fails there charges nobody.
            if failure and not (failure.through or failure.callee):
                return made
        return made

    def _below(self, failure: Failure | None, callee: str) -> Failure | None:
        """The failure of a call that makes its caller fail."""
        if failure is None or self.story.scenario is None:
            return None
        if failure.callee == callee:
            return failure
        if failure.through:
            through = self.story.scenario.failure(failure.through)
            return through if through.service == callee else None
        return None

    def _usual_seconds(self, call: Call) -> float:
        route = self.story.shop.route(call.service, call.route)
        return route.seconds * self.story.factor(call.service, "latency", route.path, self.request.at)

    # --- spans -------------------------------------------------------------------------------------------

    def _add(self, span: Span) -> Span:
        numbered = replace(span, span_id=f"{salt(self.request.trace_id, len(self.found)):016x}")
        self.found.append(numbered)
        return numbered

    def _span(self, parent: Span | None, service: str, name: str, start: float, seconds: float) -> Span:
        return Span(
            trace_id=self.request.trace_id,
            span_id="",
            service=service,
            name=name,
            start=start,
            duration_ms=round(seconds * 1000, 3),
            parent_id=parent.span_id if parent else None,
        )

    def _server(self, parent: Span | None, route: Route, failure: Failure | None, service: str = "") -> Span:
        """The span of who answers: the root, or what is inside the span of a call."""
        service = service or self.request.service
        start, seconds = self.request.at - self.request.seconds, self.request.seconds
        if parent:
            start, seconds = parent.start + parent.duration_ms * 2e-5, parent.duration_ms * 9.6e-4
        span = self._span(parent, service, f"{route.method} {route.path}", start, seconds)
        fine = "204" if route.method == "DELETE" else "200"
        attributes = {
            "span.kind": "server",
            "http.request.method": route.method,
            "http.route": route.path,
            "http.response.status_code": failure.status if failure else fine,
            **self._where(service),
        }
        server = self._add(_failed(replace(span, attributes=attributes), failure))
        self._database(server, route, failure)
        return server

    def _where(self, service: str) -> dict[str, str]:
        if service == self.request.service:
            return {"service.version": self.request.version, "k8s.pod.name": self.request.pod}
        running = [pod for pod in self.story.pods(service) if pod.runs_at(self.request.at)]
        if not running:
            return {}
        pod = running[salt(self.request.trace_id, service) % len(running)]
        return {"service.version": pod.version, "k8s.pod.name": pod.name}

    def _client(
        self, parent: Span, call: Call, start: float, seconds: float, failure: Failure | None
    ) -> None:
        route = self.story.shop.route(call.service, call.route)
        span = self._span(parent, parent.service, f"call {call.service} {call.route}", start, seconds)
        host = self.story.shop.services[call.service].host
        attributes = {"span.kind": "client", "server.address": host, "peer.service": call.service}
        reached = failure is None or failure.service == call.service
        # The caller sees a status, not what went wrong behind it.
        seen = f"{call.service} answered {failure.status}" if failure and reached else None
        client = self._add(_failed(replace(span, attributes=attributes), failure, seen))
        if reached:
            self._server(client, route, failure, call.service)

    def _database(self, server: Span, route: Route, failure: Failure | None) -> None:
        """Waiting for a connection, then the query; a service without a pool has neither."""
        pools = self.story.shop.services[server.service].pools
        # Who fails quickly, or at somebody else's, never comes to the database.
        if not pools or route.calls or not (failure is None or self._waited(failure)):
            return
        pool, seconds = pools[0], server.duration_ms / 1000
        wanted = self.story.demand(server.service, pool.name, pool.usual, self.request.at)
        waits = seconds * (0.97 if failure else 0.72 if wanted >= pool.size else 0.02)
        waiting = self._span(server, server.service, f"acquire connection ({pool.name})", server.start, waits)
        self._add(_failed(replace(waiting, attributes={"db.pool": pool.name}), failure))
        if not failure:
            name = f"query {pool.name}"
            query = self._span(server, server.service, name, server.start + waits, (seconds - waits) * 0.3)
            self._add(replace(query, attributes={"db.system": "postgresql", "span.kind": "client"}))

    def _waited(self, failure: Failure | None = None) -> bool:
        """Whether the request failed while it waited for a connection."""
        failure = failure or self.request.failure
        return failure is not None and " pool " in failure.error

    def _failing_step(self, root: Span, at: float, failure: Failure) -> None:
        end = root.start + root.duration_ms / 1000
        span = self._span(root, root.service, "handle", min(at, end), max(end - at, 0.0005))
        self._add(_failed(replace(span, attributes={"span.kind": "internal"}), failure))

    def _order_confirmed(self, root: Span, at: float) -> None:
        sent = self._span(root, root.service, "publish order-confirmed", at, 0.003)
        attributes = {"span.kind": "producer", "messaging.destination.name": "order-confirmed"}
        published = self._add(replace(sent, attributes=attributes))
        self._deliver(published, self._span)

    def _deliver(self, sent: Span, span: Callable[..., Span]) -> None:
        if "notifications" not in self.story.shop.services:
            return
        taken = span(sent, "notifications", "consume order-confirmed", sent.start + 0.4, 0.035)
        attributes = {"span.kind": "consumer", **self._where("notifications")}
        self._add(replace(taken, attributes=attributes))


def _failed(span: Span, failure: Failure | None, error: str | None = None) -> Span:
    return replace(span, failed=True, error=error or failure.error) if failure else span
