"""All simulated systems together, over one story."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import yaml

from app.errors import AgentError
from app.playground.stack.argocd import ArgoCd
from app.playground.stack.kubernetes import Kubernetes
from app.playground.stack.loki import Loki
from app.playground.stack.ops import Ops
from app.playground.stack.pagerduty import POLICY, PagerDuty, Written
from app.playground.stack.paging import State, from_alertmanager, from_pagerduty
from app.playground.stack.prometheus import Prometheus
from app.playground.stack.scenario import Scenario
from app.playground.stack.serving import Asked, Faults, System
from app.playground.stack.shop import NAMESPACE, Shop
from app.playground.stack.tempo import Tempo
from app.playground.stack.world import World

SYSTEMS = ("prometheus", "loki", "tempo", "argocd", "kubernetes", "pagerduty", "ops")


class NothingWrong(AgentError):
    """There is nothing to page about on a quiet day."""

    code = "nothing_wrong"
    status = 409


class SimulatedStack:
    """A server on loopback for each system, on a port of its own.

        async with SimulatedStack("bad-deploy", clock=clock) as stack:
            settings = Settings.load(**stack.environment())
            payload = stack.alert("alertmanager")

    Without a scenario it is a quiet day until `begin`. `clock` may move on, and the story moves with it;
    it must not go back. `asked` lists every request any system got, `written` what PagerDuty accepted.
    """

    def __init__(
        self,
        scenario: str | None = None,
        *,
        clock: Callable[[], datetime],
        seed: int = 1,
        shop: Shop | None = None,
    ) -> None:
        self._world = World(shop or Shop.example(), clock, seed)
        self.faults = Faults()
        self.asked: list[Asked] = []
        # Some answers take a good part of a second to compute; the event loop does not wait for them.
        self._thread = ThreadPoolExecutor(1, "simulated-stack")
        self._systems = {
            name: System(name, self.faults, self.asked, self._thread, self._world.now) for name in SYSTEMS
        }
        Prometheus(self._world, self._systems["prometheus"])
        Loki(self._world, self._systems["loki"])
        Tempo(self._world, self._systems["tempo"])
        argocd = ArgoCd(self._world, self._systems["argocd"])
        Kubernetes(self._world, self._systems["kubernetes"], argocd)
        self._pagerduty = PagerDuty(self._world, self._systems["pagerduty"])
        Ops(self._world, self._systems["ops"])
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.begin(scenario)

    # --- the story ---------------------------------------------------------------------------------------

    def begin(self, scenario: str | None, age: float | None = None) -> None:
        """Tell this story from now on; its onset was `age` seconds ago (minutes, by default).

        Raises:
            NoSuchScenario: names those there are.
        """
        self._world.begin(scenario, age)
        self._pagerduty.begin()

    @property
    def scenario(self) -> Scenario | None:
        return self._world.story.scenario

    @property
    def onset(self) -> float:
        """When the scenario's trouble began, in seconds since the epoch."""
        return self._world.story.onset

    @property
    def written(self) -> list[Written]:
        return self._pagerduty.written

    def alert(
        self, source: Literal["alertmanager", "pagerduty"] = "alertmanager", state: State = "firing"
    ) -> dict[str, Any]:
        """The webhook's payload with which this scenario pages, or says that it is over.

        Raises:
            NothingWrong: on a quiet day.
        """
        if self.scenario is None:
            raise NothingWrong("Nothing is wrong in the simulated stack; begin a scenario first.")
        if source == "pagerduty":
            return from_pagerduty(self._world, self._pagerduty.incident(), state)
        return from_alertmanager(self._world, self.scenario.paging, self.urls["prometheus"], state)

    # --- where it is -------------------------------------------------------------------------------------

    @property
    def urls(self) -> dict[str, str]:
        """The address of each system, without a slash at the end."""
        return {name: system.url for name, system in self._systems.items()}

    def environment(self) -> dict[str, str]:
        """The settings of an agent that is to look at this stack; it must have been started."""
        assert self._folder is not None
        urls = self.urls
        return {
            "PROMETHEUS_URL": urls["prometheus"],
            "LOKI_URL": urls["loki"],
            "TEMPO_URL": urls["tempo"],
            "ARGOCD_URL": urls["argocd"],
            "KUBERNETES": str(Path(self._folder.name) / "kubeconfig"),
            "SERVICE_REGISTRY": ",".join(self._registered()),
            # What others have stored is computed here for every question: a small machine takes a while.
            "SOURCE_DEADLINE_SECONDS": "10",
            "PAGERDUTY_API_URL": urls["pagerduty"],
            "PAGERDUTY_EVENTS_URL": urls["pagerduty"],
            "PAGERDUTY_API_TOKEN": "playground",
            "PAGERDUTY_ROUTING_KEY": "playground",
            "PAGERDUTY_ESCALATION_POLICY_ID": POLICY,
        }

    def _registered(self) -> Iterator[str]:
        """Entries of the registry; services of tier 1 are critical."""
        for service in self._world.shop.services.values():
            if service.replicas:
                critical = "critical" if service.tier == 1 else ""
                yield f"{service.name}|{self.urls['ops']}/{service.name}|{critical}"

    async def start(self) -> None:
        """Once; a stack that has stopped stays so."""
        for system in self._systems.values():
            await system.start()
        self._folder = tempfile.TemporaryDirectory(prefix="sre-agent-stack-")
        path = Path(self._folder.name) / "kubeconfig"
        path.write_text(yaml.safe_dump(kubeconfig(self.urls["kubernetes"])), encoding="utf-8")

    async def stop(self) -> None:
        for system in self._systems.values():
            await system.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    async def __aenter__(self) -> SimulatedStack:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def kubeconfig(url: str) -> dict[str, Any]:
    """What a client needs to find the simulated cluster."""
    name = "playground"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {"token": name}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": NAMESPACE}},
        ],
    }
