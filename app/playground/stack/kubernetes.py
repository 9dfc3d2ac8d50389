"""The Kubernetes-shaped system: list and get of what an investigation looks at, with selectors.

Shapes follow https://kubernetes.io/docs/reference/kubernetes-api/. There is no other verb.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web

from app.playground.stack import cluster
from app.playground.stack.argocd import ArgoCd
from app.playground.stack.serving import Declined, System
from app.playground.stack.world import World

REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*)?(?P<label>[\w./-]+)\s*"
    r"(?:(?P<operator>==|=|!=)\s*(?P<value>[\w.-]*)|(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?\s*(?:,|$)"
)


class Kind(NamedTuple):
    """Where a kind of object is listed; those of a namespace are listed over all of them too."""

    group: str
    plural: str
    name: str
    objects: Callable[[], list[cluster.Object]]
    namespaced: bool = True

    @property
    def base(self) -> str:
        return f"/apis/{self.group}" if "/" in self.group else f"/api/{self.group}"


class Kubernetes:
    """Answers for `system` out of the cluster's objects; the applications are those of Argo CD."""

    def __init__(self, world: World, system: System, argocd: ArgoCd) -> None:
        self._kinds = (
            Kind("v1", "pods", "Pod", lambda: cluster.pods(world)),
            Kind("v1", "events", "Event", lambda: cluster.events(world)),
            Kind("v1", "nodes", "Node", lambda: cluster.nodes(world), namespaced=False),
            Kind("apps/v1", "deployments", "Deployment", lambda: cluster.deployments(world)),
            Kind("apps/v1", "replicasets", "ReplicaSet", lambda: cluster.replica_sets(world)),
            Kind(
                "argoproj.io/v1alpha1",
                "applications",
                "Application",
                lambda: [argocd.application(name) for name in world.shop.services],
            ),
        )
        for kind in self._kinds:
            self._route(system, kind)
        system.get("/version", lambda _: {"major": "1", "minor": "33", "gitVersion": "v1.33.1"})
        system.page("/readyz", lambda _: "ok")

    def _route(self, system: System, kind: Kind) -> None:
        def listed(request: web.Request) -> Any:
            return _list(kind, request)

        def one(request: web.Request) -> Any:
            return _one(kind, request)

        system.get(f"{kind.base}/{kind.plural}", listed)
        prefix = f"{kind.base}/namespaces/{{namespace}}" if kind.namespaced else kind.base
        if kind.namespaced:
            system.get(f"{prefix}/{kind.plural}", listed)
        system.get(f"{prefix}/{kind.plural}/{{name}}", one)


def _inside(kind: Kind, request: web.Request) -> list[cluster.Object]:
    namespace = request.match_info.get("namespace")
    return [each for each in kind.objects() if namespace in (None, each["metadata"].get("namespace"))]


def _list(kind: Kind, request: web.Request) -> Any:
    fits = _selector(request.query.get("labelSelector", ""))
    fields = _fields(request.query.get("fieldSelector", ""))
    items = [
        each for each in _inside(kind, request) if fits(each["metadata"].get("labels", {})) and fields(each)
    ]
    limit = request.query.get("limit", "")
    return {
        "kind": f"{kind.name}List",
        "apiVersion": kind.group,
        "metadata": {"resourceVersion": "1"},
        "items": items[: int(limit)] if limit.isdigit() and int(limit) else items,
    }


def _one(kind: Kind, request: web.Request) -> Any:
    name = request.match_info["name"]
    for each in _inside(kind, request):
        if each["metadata"]["name"] == name:
            return each
    raise Declined(404, _status(404, "NotFound", f'{kind.plural} "{name}" not found'))


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    """`app=checkout,version!=1.0,tier in (a,b),!gone`."""
    requirements = []
    place = 0
    while place < len(text):
        match = REQUIREMENT.match(text, place)
        if match is None or match.end() == place:
            raise Declined(400, _status(400, "BadRequest", f"unable to parse requirement: {text[place:]!r}"))
        requirements.append(match)
        place = match.end()
    return lambda labels: all(_meets(each, labels) for each in requirements)


def _meets(requirement: re.Match[str], labels: Mapping[str, str]) -> bool:
    label, value = requirement["label"], labels.get(requirement["label"])
    if requirement["set"]:
        values = {each.strip() for each in requirement["values"].split(",")}
        return (value in values) == (requirement["set"] == "in")
    if requirement["operator"]:
        return (value == requirement["value"]) == (requirement["operator"] != "!=")
    return (label in labels) != bool(requirement["absent"])


def _fields(text: str) -> Callable[[cluster.Object], bool]:
    """`involvedObject.name=x,type!=Normal`: dotted paths compared with texts."""
    conditions = re.findall(r"([\w.]+)(!?=)=?([^,]*)", text)
    return lambda found: all(
        (_at(found, path.split(".")) == value) == (operator == "=") for path, operator, value in conditions
    )


def _at(found: Any, path: Sequence[str]) -> str:
    for part in path:
        found = found.get(part, "") if isinstance(found, Mapping) else ""
    return str(found)
