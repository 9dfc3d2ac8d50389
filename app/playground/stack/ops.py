"""The pages the services themselves have below `/ops`: what they are, how they feel, what failed last.

All services share one server; each has a base path of its own, `/<service>`.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from aiohttp import web

from app.playground.stack.cluster import image
from app.playground.stack.serving import Declined, System
from app.playground.stack.shop import Service
from app.playground.stack.world import World, stamp

ERRORS_SHOWN = 10
LOOK_BACK = 600.0


class Ops:
    """Answers for `system`, one service at a time."""

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        for page in (self.status, self.health, self.config, self.dependencies, self.errors, self.metrics):
            system.get(f"/{{service}}/ops/{page.__name__}", page)

    def status(self, request: web.Request) -> Any:
        service = self._service(request)
        running = [pod for pod in self._world.story.pods(service.name) if pod.runs_at(self._world.now())]
        newest = max(running, key=lambda pod: pod.born)
        return {
            "service": service.name,
            "version": newest.version,
            "image": image(service.name, newest.version),
            "instances": len(running),
            "newest_instance_since": stamp(newest.born),
        }

    def health(self, request: web.Request) -> Any:
        """Pools that are full make a service degraded; it does not ask its dependencies."""
        pools = self._pools(self._service(request))
        full = [name for name, figures in pools.items() if figures["waiting"]]
        return {"status": "degraded" if full else "ok", "full_pools": full}

    def config(self, request: web.Request) -> Any:
        return dict(self._service(request).environment)

    def dependencies(self, request: web.Request) -> Any:
        """What calls to each dependency failed with lately, as the caller sees it; null when they did not."""
        service = self._service(request)
        return {name: self._trouble(service.name, name) for name in service.depends_on}

    def errors(self, request: web.Request) -> Any:
        """The last lines of level error."""
        name, now = self._service(request).name, self._world.now()
        lines = self._world.logs.backwards(now - LOOK_BACK, now)
        own = (line for line in lines if line.service == name and line.level == "error")
        return [{"at": stamp(line.at), "text": line.text} for line in islice(own, ERRORS_SHOWN)]

    def metrics(self, request: web.Request) -> Any:
        service, now = self._service(request), self._world.now()
        rates = {route.path: self._world.story.rps(service.name, route, now) for route in service.routes}
        return {
            "requests_per_second": {path: round(rate, 2) for path, rate in rates.items()},
            "pools": self._pools(service),
        }

    def _service(self, request: web.Request) -> Service:
        """Raises Declined for those there are not, and for jobs, which answer nobody."""
        service = self._world.shop.services.get(request.match_info["service"])
        if service is None or not service.replicas:
            raise Declined(404, {"error": {"code": "not_found", "message": "There is no such service."}})
        return service

    def _pools(self, service: Service) -> dict[str, dict[str, int]]:
        now = self._world.now()
        wanted = {
            pool.name: round(self._world.story.demand(service.name, pool.name, pool.usual, now))
            for pool in service.pools
        }
        return {
            pool.name: {
                "size": pool.size,
                "in_use": min(wanted[pool.name], pool.size),
                "waiting": max(wanted[pool.name] - pool.size, 0),
            }
            for pool in service.pools
        }

    def _trouble(self, caller: str, callee: str) -> str | None:
        story, now = self._world.story, self._world.now()
        for route in story.shop.services[caller].routes:
            for failure, _ in story.failing(caller, route, now):
                through = failure.through and story.scenario and story.scenario.failure(failure.through)
                if callee == failure.callee or (through and through.service == callee):
                    return failure.error
        return None
