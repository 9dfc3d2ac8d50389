"""What is not as it should be in a cluster, read from its objects: pure functions, one for each kind.

Conditions and reasons as in kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/,
/workloads/controllers/deployment/#deployment-status and /reference/node/node-status/; Argo CD's health as in
argo-cd.readthedocs.io/en/stable/operator-manual/health/. Only the fields named here are ever read: the
environment of containers, annotations and secrets are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.signals.models import ClusterEvent
from app.sources.parts import Part, moment, part, parts, told

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
LONGEST_MESSAGE = 500
BEGINNING = ("ContainerCreating", "PodInitializing")


def name_of(found: Part) -> str:
    """`namespace/name`, or the name of what is in no namespace."""
    metadata = part(found, "metadata")
    namespace, name = told(metadata, "namespace"), told(metadata, "name")
    return f"{namespace}/{name}" if namespace else name


def pod_troubles(pod: Part) -> Iterator[ClusterEvent]:
    """What keeps a pod from serving, and what ended its containers before."""
    status = part(pod, "status")
    phase, name = told(status, "phase"), name_of(pod)
    born = moment(part(pod, "metadata").get("creationTimestamp")) or 0.0
    if phase in ("Failed", "Unknown") or (phase == "Pending" and not parts(status, "containerStatuses")):
        why = [each for each in parts(status, "conditions") if each.get("status") == "False"]
        message = told(status, "message") or next((told(each, "message") for each in why), "")
        yield ClusterEvent(_since(why, born), "Pod", name, told(status, "reason") or phase, message)
    for container in (*parts(status, "initContainerStatuses"), *parts(status, "containerStatuses")):
        yield from _container_troubles(container, name, phase, born)


def _container_troubles(container: Part, name: str, phase: str, born: float) -> Iterator[ClusterEvent]:
    waiting = part(container, "state", "waiting")
    ended = part(container, "state", "terminated")
    before = part(container, "lastState", "terminated")
    began = moment(part(container, "state", "running").get("startedAt"))
    if waiting and told(waiting, "reason") not in BEGINNING:
        at = moment(before.get("finishedAt")) or born
        yield _of_container(container, name, at, told(waiting, "reason") or "Waiting", _message(waiting))
    elif ended and ended.get("exitCode"):
        yield _end(container, ended, name, born)
    elif began is not None and not container.get("ready") and phase == "Running":
        yield _of_container(container, name, began, "NotReady", "runs, but is not ready")
    if before and container.get("restartCount"):
        yield _end(container, before, name, born)


def _end(container: Part, ended: Part, name: str, born: float) -> ClusterEvent:
    code = told(ended, "exitCode")
    message = " ".join(filter(None, [f"exit code {code}" if code else "", _message(ended)]))
    at = moment(ended.get("finishedAt")) or born
    return _of_container(container, name, at, told(ended, "reason") or "Terminated", message)


def _of_container(container: Part, name: str, at: float, reason: str, message: str) -> ClusterEvent:
    restarts = int(container.get("restartCount") or 0)
    text = f"container {told(container, 'name')}: {message or reason}"
    text += f" ({restarts} restarts)" if restarts else ""
    return ClusterEvent(at, "Pod", name, reason, text, count=max(restarts, 1))


def _message(state: Part) -> str:
    return told(state, "message", LONGEST_MESSAGE)


def deployment_troubles(deployment: Part) -> Iterator[ClusterEvent]:
    status, name = part(deployment, "status"), name_of(deployment)
    wanted = int(part(deployment, "spec").get("replicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    conditions = {told(each, "type"): each for each in parts(status, "conditions")}
    for kind, bad in (("Available", "False"), ("Progressing", "False"), ("ReplicaFailure", "True")):
        condition = conditions.get(kind, {})
        if condition.get("status") == bad:
            yield _condition(condition, "Deployment", name)
    if available < wanted and conditions.get("Available", {}).get("status") != "False":
        message = f"{available} of {wanted} replicas are available"
        yield ClusterEvent(_since(list(conditions.values()), 0.0), "Deployment", name, "Unavailable", message)


def replica_set_troubles(replica_set: Part) -> Iterator[ClusterEvent]:
    for condition in parts(part(replica_set, "status"), "conditions"):
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            yield _condition(condition, "ReplicaSet", name_of(replica_set))


def node_troubles(node: Part) -> Iterator[ClusterEvent]:
    for condition in parts(part(node, "status"), "conditions"):
        kind, status = condition.get("type"), condition.get("status")
        if (kind == "Ready" and status != "True") or (kind in PRESSURES and status == "True"):
            yield _condition(condition, "Node", name_of(node))


def application_troubles(application: Part) -> Iterator[ClusterEvent]:
    """An Argo CD application that is neither healthy nor on its way there."""
    status = part(application, "status")
    health = told(part(status, "health"), "status")
    if health in ("Degraded", "Missing", "Suspended"):
        at = moment(part(status, "health").get("lastTransitionTime")) or moment(status.get("reconciledAt"))
        message = told(part(status, "health"), "message") or f"sync is {told(part(status, 'sync'), 'status')}"
        yield ClusterEvent(at or 0.0, "Application", name_of(application), health, message)


def event_of(event: Part) -> ClusterEvent | None:
    """A Kubernetes event; None when it says neither when nor about what."""
    about = part(event, "involvedObject")
    series = part(event, "series")
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    born = part(event, "metadata").get("creationTimestamp")
    at = next((found for text in (*times, born) if (found := moment(text)) is not None), None)
    if at is None or not told(about, "name"):
        return None
    namespace = told(about, "namespace")
    return ClusterEvent(
        at=at,
        kind=told(about, "kind"),
        name=f"{namespace}/{told(about, 'name')}" if namespace else told(about, "name"),
        reason=told(event, "reason"),
        message=told(event, "message", LONGEST_MESSAGE),
        count=int(series.get("count") or event.get("count") or 1),
        warning=event.get("type") != "Normal",
    )


def _condition(condition: Part, kind: str, name: str) -> ClusterEvent:
    reason = told(condition, "reason") or told(condition, "type")
    message = f"{told(condition, 'type')} is {told(condition, 'status')}"
    said = told(condition, "message", LONGEST_MESSAGE)
    return ClusterEvent(
        _since([condition], 0.0), kind, name, reason, f"{message}: {said}" if said else message
    )


def _since(conditions: list[Part], otherwise: float) -> float:
    """The last change among some conditions."""
    times = (moment(each.get("lastTransitionTime")) for each in conditions)
    return max((at for at in times if at is not None), default=otherwise)
