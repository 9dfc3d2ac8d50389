"""One scenario on one clock: what every figure of the shop is at a moment, before chance is added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import pi, sin

from app.playground.stack.noise import name_of, salt, uniform
from app.playground.stack.scenario import Failure, Quantity, Rollout, Scenario, progress
from app.playground.stack.shop import Route, Service, Shop

DAY = 86_400.0
CERTIFICATE_DAYS = 61


@dataclass(frozen=True)
class Pod:
    """`born` and `gone` are seconds since the epoch; `gone` is None for those that run."""

    name: str
    service: str
    version: str
    replica_set: str
    born: float
    gone: float | None = None

    def runs_at(self, at: float) -> bool:
        return self.born <= at and (self.gone is None or at < self.gone)


@dataclass(frozen=True)
class Deployed:
    """A rollout at a time of the clock, with the revision it brought."""

    service: str
    version: str
    at: float
    revision: str
    message: str
    author: str
    files: tuple[str, ...]
    roll_seconds: float


@dataclass(frozen=True)
class Story:
    """`onset` is in seconds since the epoch. Without a scenario nothing ever happens."""

    shop: Shop
    scenario: Scenario | None
    onset: float
    seed: int = 1

    # --- figures -----------------------------------------------------------------------------------------

    def factor(self, service: str, quantity: Quantity, of: str, at: float) -> float:
        """What the usual figure of a route, pool or queue is multiplied by at this moment."""
        product = 1.0
        for effect in self.scenario.effects if self.scenario else ():
            if (effect.service, effect.quantity) != (service, quantity) or (
                effect.of and of not in effect.of
            ):
                continue
            product *= 1 + (effect.factor - 1) * progress(at - self.onset, effect.at, effect.ramp)
        return product

    def rps(self, service: str, route: Route, at: float) -> float:
        """Requests a second; the day's tide is a slow wave, the same for everybody."""
        tide = 1 + 0.06 * sin(2 * pi * (at / 5400 + (self.seed % 7) / 7))
        return route.rps * tide * self.factor(service, "rps", route.path, at)

    def failing(self, service: str, route: Route, at: float) -> Iterator[tuple[Failure, float]]:
        """The failures of a route at work, each with the share of the requests that suffers it."""
        for failure in self.scenario.failures if self.scenario else ():
            if (failure.service, failure.route) != (service, route.path):
                continue
            share = failure.share * progress(at - self.onset, failure.at, failure.ramp)
            if failure.version:
                share *= self.version_share(service, failure.version, at)
            if share > 0:
                yield failure, share

    def demand(self, service: str, pool: str, usual: float, at: float) -> float:
        """Connections wanted of a pool, which may be more than there are."""
        routes = self.shop.services[service].routes
        busy = sum(self.rps(service, route, at) for route in routes) / sum(route.rps for route in routes)
        # Twice the requests need less than twice the connections while the database keeps up.
        return usual * float(busy**0.6) * self.factor(service, "pool", pool, at)

    def certificate_ends(self, service: str) -> float:
        expiries = self.scenario.expiries if self.scenario else {}
        if service in expiries:
            return self.onset + expiries[service]
        days = CERTIFICATE_DAYS * (0.5 + uniform(salt(self.seed, "certificate", service), 0))
        return self.onset + days * DAY

    # --- versions ----------------------------------------------------------------------------------------

    def rollouts(self, service: str) -> tuple[Deployed, ...]:
        """All rollouts of a service, oldest first: three of earlier weeks, then those of the scenario."""
        patch = _steps_back(self.shop.services[service].version)
        earlier = tuple(
            self._deployed(Rollout(service, version, -(days * DAY), message), days)
            for version, days, message in zip(patch, (31.2, 16.8, 9.4), EARLIER, strict=True)
        )
        ours = [each for each in (self.scenario.rollouts if self.scenario else ()) if each.service == service]
        later = tuple(self._deployed(each, 0) for each in sorted(ours, key=lambda each: each.at))
        return earlier + later

    def _deployed(self, rollout: Rollout, days: float) -> Deployed:
        revision = "".join(f"{salt('revision', rollout.service, rollout.version, n):016x}" for n in range(3))
        jitter = days and 7200 * uniform(salt(self.seed, rollout.service, rollout.version), 0)
        return Deployed(
            service=rollout.service,
            version=rollout.version,
            at=self.onset + rollout.at + jitter,
            revision=revision[:40],
            message=rollout.message,
            author=rollout.author,
            files=rollout.files or ("deploy/deployment.yaml",),
            roll_seconds=rollout.roll_seconds,
        )

    def pods(self, service: str) -> tuple[Pod, ...]:
        """Every pod of the last days, gone ones too."""
        return self._pods[service]

    @cached_property
    def _pods(self) -> dict[str, tuple[Pod, ...]]:
        return {name: tuple(self._roll(service)) for name, service in self.shop.services.items()}

    def _roll(self, service: Service) -> Iterator[Pod]:
        """One pod after the other is replaced, evenly over the time a rollout takes."""
        generations = self.rollouts(service.name)[2:]
        for number, deployed in enumerate(generations):
            follower = generations[number + 1] if number + 1 < len(generations) else None
            replica_set = name_of(salt(self.seed, service.name, deployed.version), 10)
            for place in range(service.replicas):
                part = (place + 1) / service.replicas
                yield Pod(
                    name=f"{service.name}-{replica_set}-{name_of(salt(self.seed, replica_set, place), 5)}",
                    service=service.name,
                    version=deployed.version,
                    replica_set=f"{service.name}-{replica_set}",
                    born=deployed.at + part * deployed.roll_seconds,
                    gone=follower.at + part * follower.roll_seconds if follower else None,
                )

    def versions(self, service: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pod.version for pod in self.pods(service)))

    def version_share(self, service: str, version: str, at: float) -> float:
        """The part of the traffic that goes to pods of a version."""
        running = [pod.version for pod in self.pods(service) if pod.runs_at(at)]
        return running.count(version) / len(running) if running else 0.0

    def lifetime(self, service: str, version: str) -> tuple[float, float | None]:
        """From the first to the last moment any pod of the version ran."""
        pods = [pod for pod in self.pods(service) if pod.version == version]
        gone = [pod.gone for pod in pods if pod.gone is not None]
        return min(pod.born for pod in pods), max(gone) if len(gone) == len(pods) else None


EARLIER = ("Raise the memory request", "Update dependencies", "Tidy the configuration")


def _steps_back(version: str) -> tuple[str, str, str]:
    """1.14.2 → 1.14.0, 1.14.1, 1.14.2."""
    head, _, patch = version.rpartition(".")
    return (
        (f"{head}.{int(patch) - 2}", f"{head}.{int(patch) - 1}", version)
        if int(patch) > 1
        else (
            f"{head}.0-rc1",
            f"{head}.0-rc2",
            version,
        )
    )
