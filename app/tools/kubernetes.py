"""The tool that looks into the cluster: objects of one kind, each in a line of the states that matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.signals.models import ClusterEvent
from app.sources.cluster_state import name_of
from app.sources.kubernetes import Kind, KubernetesReader, images_of, troubles
from app.sources.parts import Part, moment, part, parts, told
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.shaping import fitted, plural, shortened

DESCRIPTION = (
    "Look at the cluster: pods, events, deployments, replicasets, nodes or Argo CD applications, those "
    "with troubles first. Give a name, or labels (app=checkout), or nothing for those of the service "
    "talked about; all_services lists everybody's. Environment variables and secrets are never shown."
)
EVERYBODYS = ("nodes",)
LONGEST_MESSAGE = 240


class Kubernetes(BaseModel):
    kind: Kind
    name: str | None = Field(None, max_length=253, description="Exactly this object, or events about it")
    labels: str | None = Field(
        None, max_length=500, description="label=value, several with commas between; all must hold"
    )
    namespace: str | None = Field(None, max_length=63, description="Default: all namespaces")
    all_services: bool = Field(False, description="Not only those of the service talked about")


def tool(parts: object) -> Tool[Kubernetes] | None:
    reader = getattr(parts, "kubernetes", None)
    if not isinstance(reader, KubernetesReader):
        return None

    async def run(asked: Kubernetes, scope: ToolScope) -> ToolResult:
        try:
            if asked.kind == "events":
                lines, whose = await _events(reader, asked, scope)
            else:
                lines, whose = await _objects(reader, asked, scope)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        head = _heading(asked.kind, whose, len(lines))
        text, _ = fitted(head, lines, scope.limit_bytes, asked.kind)
        source = Source(kind="cluster", title=f"Kubernetes: {asked.kind}{whose}", path=asked.kind)
        title = f"Looked at {asked.kind}{whose}: {len(lines)}"
        return ToolResult(text, (source,), title, full="\n".join([head, *lines]))

    return Tool("kubernetes", DESCRIPTION, Kubernetes, run, deadline_seconds=20)


def _heading(kind: str, whose: str, count: int) -> str:
    if count == 0:
        # Of a service's events only its troubles are told, and their absence is worth a word of its own.
        what = "trouble and no warning" if kind == "events" and whose.startswith(" of ") else kind
        return f"The cluster shows no {what}{whose}."
    what = kind.removesuffix("s") if count == 1 else kind
    return f"{count} {what}{whose}" + (", those with troubles first:" if count > 1 else ":")


async def _events(reader: KubernetesReader, asked: Kubernetes, scope: ToolScope) -> tuple[list[str], str]:
    """Warnings first, the newest of each first."""
    service = None if asked.all_services or asked.name else scope.service
    if service:
        found = list(await reader.not_healthy(service, namespace=asked.namespace))
        told_of = f" of {service}"
    else:
        found = list(await reader.events(namespace=asked.namespace, name=asked.name))
        told_of = f" about {asked.name}" if asked.name else ""
    return [_event(each) for each in sorted(found, key=lambda each: (not each.warning, -each.at))], told_of


async def _objects(reader: KubernetesReader, asked: Kubernetes, scope: ToolScope) -> tuple[list[str], str]:
    labels = _labels(asked.labels)
    service = None if asked.all_services or asked.kind in EVERYBODYS else scope.service
    found: Sequence[Part]
    if asked.name or labels:
        found = await reader.objects(asked.kind, namespace=asked.namespace, name=asked.name, labels=labels)
        whose = f" {asked.name or ''} {asked.labels or ''}".rstrip()
    elif service:
        found, whose = (
            await reader.of_service(asked.kind, service, namespace=asked.namespace),
            f" of {service}",
        )
    else:
        found, whose = await reader.objects(asked.kind, namespace=asked.namespace), ""
    described = [(troubles(asked.kind, each), each) for each in found]
    described.sort(key=lambda each: (not each[0], -_changed(each[1])))
    return [_line(asked.kind, each, wrong) for wrong, each in described], whose


def _labels(text: str | None) -> Mapping[str, str]:
    """`app=checkout,tier=web` as pairs.

    Raises:
        ToolFailed: something else stands there.
    """
    found = [each.strip().partition("=") for each in (text or "").split(",") if each.strip()]
    if any(not sign or value.startswith("=") for _, sign, value in found):
        raise ToolFailed("Write labels as label=value, several with commas between.")
    return {label.strip(): value.strip() for label, _, value in found}


def _line(kind: str, found: Part, wrong: Sequence[ClusterEvent]) -> str:
    state = ", ".join(filter(None, LINES[kind](found)))
    lines = [f"- {name_of(found)}: {state}"]
    lines += [
        f"  ! {each.reason}: {shortened(each.message, LONGEST_MESSAGE)}{_since(each)}" for each in wrong
    ]
    return "\n".join(lines)


def _event(event: ClusterEvent) -> str:
    count = f" ×{event.count}" if event.count > 1 else ""
    return f"- {_clock(event.at)} {event.kind} {event.name}: {event.reason}{count}: {_message(event)}"


def _message(event: ClusterEvent) -> str:
    return shortened(event.message, LONGEST_MESSAGE)


def _pod(pod: Part) -> list[str]:
    status = part(pod, "status")
    containers = parts(status, "containerStatuses")
    ready = sum(bool(each.get("ready")) for each in containers)
    restarts = sum(int(each.get("restartCount") or 0) for each in containers)
    return [
        told(status, "phase"),
        f"{ready}/{len(containers)} ready",
        plural(restarts, "restart") if restarts else "",
        ", ".join(images_of(pod)),
        f"on {told(part(pod, 'spec'), 'nodeName')}",
        f"since {_clock(moment(status.get('startTime')))}",
    ]


def _deployment(deployment: Part) -> list[str]:
    spec, status = part(deployment, "spec"), part(deployment, "status")
    count = [int(status.get(f"{each}Replicas") or 0) for each in ("updated", "ready", "available")]
    return [
        f"{told(spec, 'replicas') or 0} wanted, {count[0]} updated, {count[1]} ready, {count[2]} available",
        ", ".join(images_of(part(spec, "template"))),
        "paused" if spec.get("paused") else "",
    ]


def _replica_set(replica_set: Part) -> list[str]:
    spec, status = part(replica_set, "spec"), part(replica_set, "status")
    born = moment(part(replica_set, "metadata").get("creationTimestamp"))
    return [
        f"{told(spec, 'replicas') or 0} wanted, {int(status.get('readyReplicas') or 0)} ready",
        ", ".join(images_of(part(spec, "template"))),
        f"made {_clock(born)}",
    ]


def _node(node: Part) -> list[str]:
    spec, status = part(node, "spec"), part(node, "status")
    ready = next((each for each in parts(status, "conditions") if each.get("type") == "Ready"), {})
    return [
        "ready" if ready.get("status") == "True" else "not ready",
        "no new pods (cordoned)" if spec.get("unschedulable") else "",
        " cpu, ".join(told(part(status, "allocatable"), each) for each in ("cpu", "memory")) + " memory",
        told(part(status, "nodeInfo"), "kubeletVersion"),
    ]


def _application(application: Part) -> list[str]:
    status = part(application, "status")
    state = part(status, "operationState")
    return [
        told(part(status, "health"), "status"),
        told(part(status, "sync"), "status"),
        f"at {told(part(status, 'sync'), 'revision')[:12]}",
        f"last rollout {told(state, 'phase')} {_clock(moment(state.get('finishedAt')))}" if state else "",
    ]


LINES: Mapping[str, Callable[[Part], list[str]]] = {
    "pods": _pod,
    "deployments": _deployment,
    "replicasets": _replica_set,
    "nodes": _node,
    "applications": _application,
}


def _changed(found: Part) -> float:
    """When an object was made: the newest pods and replica sets come first."""
    return moment(part(found, "metadata").get("creationTimestamp")) or 0.0


def _since(event: ClusterEvent) -> str:
    return f" ({_clock(event.at)})" if event.at else ""


def _clock(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M:%S") if at else "?"
