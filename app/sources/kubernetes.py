"""The cluster: objects of a few kinds, listed, and what of a service's is not as it should be."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from app.signals.models import ClusterEvent
from app.sources import cluster_state
from app.sources.cluster_state import event_of, name_of
from app.sources.failures import QueryRejected, SourceFailed
from app.sources.parts import Part, part, parts, told

if TYPE_CHECKING:
    from app.sources.kubernetes_door import Door

Kind = Literal["pods", "events", "deployments", "replicasets", "nodes", "applications"]
SERVICE_LABELS = ("app.kubernetes.io/name", "app")
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LABEL = re.compile(r"(?:[a-zA-Z0-9.-]{1,253}/)?[a-zA-Z0-9._-]{1,63}=[a-zA-Z0-9._-]{0,63}")
GENERATED = re.compile(r"(?:-[bcdfghjklmnpqrstvwxz2456789]{5,10}){1,2}|-\d{1,4}")
"""What Kubernetes appends to names; it has no vowels, so `checkout-worker` is nobody's pod."""
MOST_OBJECTS = 500
MOST_EVENTS = 1000
MOST_PLACES = 3

TROUBLES: Mapping[str, Callable[[Part], Iterator[ClusterEvent]]] = {
    "pods": cluster_state.pod_troubles,
    "deployments": cluster_state.deployment_troubles,
    "replicasets": cluster_state.replica_set_troubles,
    "nodes": cluster_state.node_troubles,
    "applications": cluster_state.application_troubles,
}


class KubernetesReader:
    """Reads one cluster: `where` is `in-cluster` or the path of a kubeconfig."""

    def __init__(
        self,
        where: str,
        *,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._where = where
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._door: Door | None = None
        self._opening = asyncio.Lock()
        self._asking: dict[Any, asyncio.Task[Sequence[Part]]] = {}

    async def aclose(self) -> None:
        if self._door is not None:
            await self._door.aclose()
            self._door = None

    async def objects(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        most: int = MOST_OBJECTS,
    ) -> Sequence[Part]:
        """Objects as the cluster has them, of one namespace or of all; these hold what nobody may be shown.

        Raises:
            QueryRejected: a name, namespace or label is none; nothing was sent.
            SourceFailed: the cluster gives no usable answer (`NotThere`: it has no such kind).
        """
        for text in filter(None, (namespace, name)):
            if not NAME.fullmatch(text):
                raise QueryRejected("kubernetes", f"has no object or namespace called {text[:100]!r}.")
        for label, value in (labels or {}).items():
            if not LABEL.fullmatch(f"{label}={value}"):
                raise QueryRejected("kubernetes", f"knows no label {label[:100]}={value[:100]}.")
        wanted = {**(fields or {}), **({"metadata.name": name} if name and kind != "events" else {})}
        if name and kind == "events":
            wanted["involvedObject.name"] = name
        key = (kind, namespace, tuple(sorted((labels or {}).items())), tuple(sorted(wanted.items())), most)
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(
                self._listed(kind, namespace, dict(labels or {}), wanted, most)
            )
            self._asking[key].add_done_callback(lambda asked: self._answered(key, asked))
        return await asyncio.shield(self._asking[key])

    def _answered(self, key: Any, asked: asyncio.Task[Sequence[Part]]) -> None:
        """Those who wait hear how it went; where all of them had to go on, nobody is to be told of it."""
        self._asking.pop(key, None)
        if not asked.cancelled():
            asked.exception()

    async def _listed(
        self, kind: Kind, namespace: str | None, labels: dict[str, str], fields: dict[str, str], most: int
    ) -> Sequence[Part]:
        """Asked once by all who ask at the same time: a look asks about each service and its nodes."""
        door = await self._opened()
        return await door.listed(kind, namespace=namespace, labels=labels, fields=fields, most=most)

    async def of_service(
        self,
        kind: Kind,
        service: str,
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Sequence[Part]:
        """Objects of a service: those with `labels`, else those labelled with its name in one of the two
        usual ways; an Argo CD application of its name. Raises as `objects`."""
        if kind == "applications":
            return await self.objects(kind, namespace=namespace, name=service, labels=labels)
        value = re.sub(r"[^A-Za-z0-9._-]+", "-", service)
        selectors = [labels] if labels else [{label: value} for label in SERVICE_LABELS]
        found = await asyncio.gather(
            *(self.objects(kind, namespace=namespace, labels=selector) for selector in selectors)
        )
        return tuple({name_of(each): each for objects in found for each in objects}.values())

    async def events(
        self, *, namespace: str | None = None, name: str | None = None, warnings_only: bool = False
    ) -> tuple[ClusterEvent, ...]:
        """Events as the cluster still has them (an hour's, unless it keeps them longer), oldest first."""
        fields = {"type": "Warning"} if warnings_only else {}
        listed = await self.objects("events", namespace=namespace, name=name, fields=fields, most=MOST_EVENTS)
        found = (event_of(each) for each in listed)
        return tuple(sorted((each for each in found if each), key=lambda each: each.at))

    async def not_healthy(
        self, service: str, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> tuple[ClusterEvent, ...]:
        """What is wrong with a service's pods, deployments, replica sets and application, with the nodes its
        pods run on, and the warnings about any of them; oldest first.

        What may not be listed is left out as long as the pods may be.

        Raises:
            SourceFailed: the pods could not be listed.
        """
        owned: tuple[Kind, ...] = ("deployments", "replicasets")
        pods, *others = await asyncio.gather(
            self.of_service("pods", service, namespace=namespace, labels=labels),
            *(self._if_allowed(kind, service, namespace, labels) for kind in owned),
        )
        nodes = {told(part(pod, "spec"), "nodeName") for pod in pods}
        around, applications, warnings = await asyncio.gather(
            self._nodes(nodes), self._applications(service), self._warnings(_places(namespace, pods))
        )
        seen = {
            "pods": pods,
            "nodes": around,
            "applications": applications,
            **dict(zip(owned, others, strict=True)),
        }
        found = [each for kind, objects in seen.items() for one in objects for each in troubles(kind, one)]
        names = {name_of(each) for objects in (pods, *others) for each in objects}
        found += [each for each in warnings if each.name in names or _is_of(each.name, service)]
        return tuple(sorted((replace(each, service=service) for each in found), key=lambda each: each.at))

    async def not_healthy_at(self, places: Mapping[str, str]) -> tuple[ClusterEvent, ...]:
        """What is wrong with the pod, the deployment, the pods of the namespace or the node that an alert's
        labels name, with the warnings about them; oldest first. A machine (`instance`, `host`) is the node of
        that name or address, if it is one.

        Raises:
            SourceFailed: the cluster gives no usable answer.
        """
        namespace, pod, owner = (places.get(name) for name in ("namespace", "pod", "deployment"))
        machine = places.get("node") or places.get("host") or places.get("instance")
        nodes = [each for each in await self.objects("nodes") if _is_at(each, machine)] if machine else []
        seen: dict[Kind, Sequence[Part]] = {"nodes": nodes}
        if owner:
            seen["deployments"] = await self.objects("deployments", namespace=namespace, name=owner)
        if pod or (namespace and not owner):
            seen["pods"] = await self.objects("pods", namespace=namespace, name=pod)
        found = [each for kind, objects in seen.items() for one in objects for each in troubles(kind, one)]
        if pod or namespace:
            warnings = await self.events(namespace=namespace, name=pod, warnings_only=True)
            found += [each for each in warnings if not owner or _is_of(each.name, owner)]
        for node in nodes:
            found += await self.events(name=told(part(node, "metadata"), "name"), warnings_only=True)
        return tuple(sorted(dict.fromkeys(found), key=lambda each: each.at))

    async def _if_allowed(
        self, kind: Kind, service: str, namespace: str | None, labels: Mapping[str, str] | None
    ) -> Sequence[Part]:
        try:
            return await self.of_service(kind, service, namespace=namespace, labels=labels)
        except SourceFailed:
            return []

    async def _nodes(self, names: set[str]) -> Sequence[Part]:
        try:
            return [each for each in await self.objects("nodes") if name_of(each) in names]
        except SourceFailed:
            return []

    async def _applications(self, service: str) -> Sequence[Part]:
        try:
            return await self.objects("applications", name=service)
        except SourceFailed:
            # A cluster without Argo CD has no such kind.
            return []

    async def _warnings(self, places: Sequence[str | None]) -> tuple[ClusterEvent, ...]:
        try:
            found = await asyncio.gather(
                *(self.events(namespace=place, warnings_only=True) for place in places)
            )
        except SourceFailed:
            return ()
        return tuple(each for events in found for each in events)

    async def _opened(self) -> Door:
        async with self._opening:
            if self._door is None:
                self._door = await asyncio.to_thread(_open, self._where, self._timeout_seconds)
            return self._door


def _open(where: str, timeout_seconds: float) -> Door:
    # Some 10 MB and half a second, which nobody without a cluster should pay.
    from app.sources.kubernetes_door import Door  # noqa: PLC0415

    return Door(where, timeout_seconds=timeout_seconds)


def _places(namespace: str | None, pods: Sequence[Part]) -> Sequence[str | None]:
    """The namespaces to ask for warnings: a large cluster has more of them than are read from all at once."""
    if namespace is not None:
        return (namespace,)
    found = sorted({told(part(pod, "metadata"), "namespace") for pod in pods} - {""})
    return found if 0 < len(found) <= MOST_PLACES else (None,)


def troubles(kind: str, found: Part) -> tuple[ClusterEvent, ...]:
    """What is not as it should be with one object."""
    return tuple(TROUBLES[kind](found)) if kind in TROUBLES else ()


def images_of(pod_or_template: Part) -> tuple[str, ...]:
    """The images of a pod's containers, without their registry."""
    containers = parts(part(pod_or_template, "spec"), "containers")
    return tuple(told(each, "image").rsplit("/", 1)[-1] for each in containers)


def _is_at(node: Part, machine: str) -> bool:
    """Whether a node has that name or address, with a port or without."""
    host = machine.rpartition(":")[0] if re.search(r":\d+$", machine) else machine
    addresses = {told(each, "address") for each in parts(part(node, "status"), "addresses")}
    return host.strip("[]") in {told(part(node, "metadata"), "name"), *addresses}


def _is_of(name: str, service: str) -> bool:
    """Whether an object that may be gone was a service's: `checkout`, `shop/checkout-7d9f6c4b8d-x2kqz`."""
    own = name.rpartition("/")[2]
    return own == service or bool(own.startswith(f"{service}-") and GENERATED.fullmatch(own[len(service) :]))
