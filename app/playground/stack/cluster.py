"""The objects of the simulated cluster, as the Kubernetes API shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.playground.stack.argocd import uid
from app.playground.stack.noise import salt
from app.playground.stack.scenario import Happening
from app.playground.stack.shop import NAMESPACE, Service
from app.playground.stack.story import Deployed, Pod
from app.playground.stack.world import World, stamp

NODES = ("node-a1", "node-a2", "node-b1", "node-b2")
EVENTS_KEPT = 3 * 3600.0
Object = dict[str, Any]


def pods(world: World) -> list[Object]:
    """Those that run, and the last one of each service that is a job."""
    now = world.now()
    found = []
    for service in world.shop.services.values():
        running = [pod for pod in world.story.pods(service.name) if pod.runs_at(now)]
        found += [_pod(world, service, pod, number) for number, pod in enumerate(running)]
        if not service.replicas:
            found.append(_finished(world, service))
    return found


def deployments(world: World) -> list[Object]:
    return [_deployment(world, each) for each in world.shop.services.values() if each.replicas]


def replica_sets(world: World) -> list[Object]:
    return [each for service in world.shop.services.values() for each in _replica_sets(world, service)]


def nodes(world: World) -> list[Object]:
    return [_node(world, name) for name in NODES]


def events(world: World) -> list[Object]:
    """Newest first, of the last hours."""
    now = world.now()
    found = [event for each in _happenings(world) if (event := _event(world, each, now))]
    return sorted(found, key=lambda event: str(event["lastTimestamp"]), reverse=True)


# --- pods ------------------------------------------------------------------------------------------------


def _meta(kind: str, name: str, service: str, created: float, **more: Any) -> Object:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid(kind, name),
        "labels": {"app": service, "app.kubernetes.io/name": service},
        "creationTimestamp": stamp(created),
        "resourceVersion": "1",
        **more,
    }


def _pod(world: World, service: Service, pod: Pod, number: int) -> Object:
    age = world.now() - pod.born
    ready = age > 8 and not _unready(world, service, number)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": pod.replica_set, "controller": True}
    meta = _meta("Pod", pod.name, service.name, pod.born)
    meta["labels"]["version"] = pod.version
    meta["ownerReferences"] = [owner | {"uid": uid("ReplicaSet", pod.replica_set)}]
    state = {"running": {"startedAt": stamp(pod.born + 2)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"nodeName": _node_of(pod.name), "containers": [container(service, pod.version)]},
        "status": {
            "phase": "Running",
            "podIP": f"10.12.{salt(pod.name) % 200}.{salt(pod.name, 'ip') % 250 + 1}",
            "startTime": stamp(pod.born),
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "False", **_why_unready(ready)},
                {"type": "PodScheduled", "status": "True"},
            ],
            "containerStatuses": [
                {
                    "name": service.name,
                    "image": image(service.name, pod.version),
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "state": state,
                }
            ],
        },
    }


def _unready(world: World, service: Service, number: int) -> bool:
    """The first pod of a service whose probes fail, as long as they do."""
    scenario = world.story.scenario
    return number == 0 and any(
        each.service == service.name
        and each.reason == "Unhealthy"
        and world.now() > world.story.onset + each.at
        for each in (scenario.happenings if scenario else ())
    )


def _why_unready(ready: bool) -> Object:
    if ready:
        return {}
    return {"reason": "ContainersNotReady", "message": "containers with unready status"}


def _finished(world: World, service: Service) -> Object:
    """The pod of last night's run."""
    begun = world.now() // 86_400 * 86_400 + 2.25 * 3600
    begun -= 86_400 if begun + 3000 > world.now() else 0
    name = f"{service.name}-{int(begun // 60)}-{salt(service.name) % 99_999:05d}"
    end = {"reason": "Completed", "exitCode": 0, "startedAt": stamp(begun), "finishedAt": stamp(begun + 2980)}
    status = {
        "name": service.name,
        "image": image(service.name, service.version),
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": end},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _meta("Pod", name, service.name, begun),
        "spec": {"nodeName": _node_of(name), "containers": [container(service, service.version)]},
        "status": {"phase": "Succeeded", "startTime": stamp(begun), "containerStatuses": [status]},
    }


def _node_of(pod: str) -> str:
    return NODES[salt(pod, "node") % len(NODES)]


def image(service: str, version: str) -> str:
    return f"registry.acme.example/{service}:{version}"


def container(service: Service, version: str) -> Object:
    return {
        "name": service.name,
        "image": image(service.name, version),
        "env": [{"name": name, "value": value} for name, value in service.environment],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    }


# --- deployments and replica sets ------------------------------------------------------------------------


def _generations(world: World, service: Service) -> list[Deployed]:
    """The rollouts there are still replica sets of."""
    return [each for each in world.story.rollouts(service.name)[2:] if each.at <= world.now()]


def _template(service: Service, version: str) -> Object:
    labels = {"app": service.name, "version": version}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container(service, version)]}}


def _deployment(world: World, service: Service) -> Object:
    done = _generations(world, service)
    last = done[-1]
    meta = _meta("Deployment", service.name, service.name, done[0].at - 200 * 86_400)
    meta["generation"] = len(done) + 40
    meta["annotations"] = {"deployment.kubernetes.io/revision": str(len(done) + 40)}
    unready = sum(_unready(world, service, number) for number in range(service.replicas))
    new = sum(pod.version == last.version for pod in _running(world, service))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": service.replicas,
            "selector": {"matchLabels": {"app": service.name}},
            "template": _template(service, last.version),
        },
        "status": {
            "observedGeneration": len(done) + 40,
            "replicas": service.replicas,
            "updatedReplicas": new,
            "readyReplicas": service.replicas - unready,
            "availableReplicas": service.replicas - unready,
            **({"unavailableReplicas": unready} if unready else {}),
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
        },
    }


def _running(world: World, service: Service) -> list[Pod]:
    return [pod for pod in world.story.pods(service.name) if pod.runs_at(world.now())]


def _replica_sets(world: World, service: Service) -> Iterator[Object]:
    running = _running(world, service)
    for number, deployed in enumerate(_generations(world, service) if service.replicas else ()):
        pods_of = [pod for pod in world.story.pods(service.name) if pod.version == deployed.version]
        name = pods_of[0].replica_set
        count = sum(pod.version == deployed.version for pod in running)
        meta = _meta("ReplicaSet", name, service.name, deployed.at)
        meta["annotations"] = {"deployment.kubernetes.io/revision": str(number + 41)}
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name, "controller": True}
        meta["ownerReferences"] = [owner | {"uid": uid("Deployment", service.name)}]
        yield {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": meta,
            "spec": {
                "replicas": count,
                "selector": {"matchLabels": {"app": service.name, "version": deployed.version}},
                "template": _template(service, deployed.version),
            },
            "status": {"replicas": count, "readyReplicas": count, "availableReplicas": count},
        }


def _node(world: World, name: str) -> Object:
    fine = ("MemoryPressure", "DiskPressure", "PIDPressure")
    conditions = [{"type": kind, "status": "False", "reason": "KubeletHas"} for kind in fine]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": uid("Node", name),
            "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{name[5]}"},
            "creationTimestamp": stamp(world.story.onset - 80 * 86_400),
        },
        "spec": {},
        "status": {
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"},
            "allocatable": {"cpu": "7800m", "memory": "30Gi", "pods": "110"},
            "conditions": [*conditions, {"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.0.4",
                "kernelVersion": "6.12.0",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.33.1",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 13",
                "systemUUID": "",
            },
        },
    }


# --- events ----------------------------------------------------------------------------------------------


def _happenings(world: World) -> Iterator[Happening]:
    """Those of the scenario, and what every rollout brings along."""
    scenario = world.story.scenario
    yield from scenario.happenings if scenario else ()
    for service in world.shop.services.values():
        for deployed in world.story.rollouts(service.name):
            if service.replicas:
                yield from _of_rollout(world, service, deployed)


def _of_rollout(world: World, service: Service, deployed: Deployed) -> Iterator[Happening]:
    pods_of = [pod for pod in world.story.pods(service.name) if pod.version == deployed.version]
    if not pods_of:
        return
    at = deployed.at - world.story.onset
    name = pods_of[0].replica_set
    text = f"Scaled up replica set {name} from 0 to 1"
    yield Happening(service.name, "ScalingReplicaSet", text, at, False, "Deployment", service.name)
    pulled = f'Successfully pulled image "{image(service.name, deployed.version)}" in 1.4s'
    yield Happening(service.name, "Pulled", pulled, at + 6, False, "Pod", pods_of[0].name)


def _event(world: World, happening: Happening, now: float) -> Object | None:
    first = world.story.onset + happening.at
    # What happened several times still goes on.
    last = max(first, now - 20) if happening.count > 1 else first
    if first > now or last < now - EVENTS_KEPT:
        return None
    running = _running(world, world.shop.services[happening.service])
    name = happening.object_name or (running[0].name if running else happening.service)
    unique = f"{name}.{salt(happening.reason, happening.at) & 0xFFFFFFFF:x}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": unique, "namespace": NAMESPACE, "creationTimestamp": stamp(first)},
        "involvedObject": {"kind": happening.kind, "namespace": NAMESPACE, "name": name},
        "reason": happening.reason,
        "message": happening.message,
        "type": "Warning" if happening.warning else "Normal",
        "count": happening.count,
        "firstTimestamp": stamp(first),
        "lastTimestamp": stamp(last),
        "source": {"component": "kubelet" if happening.kind == "Pod" else "controller-manager"},
    }
