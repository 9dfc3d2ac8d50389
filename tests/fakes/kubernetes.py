"""A Kubernetes API on the wire, as far as lists go: kubernetes.io/docs/reference/kubernetes-api/.

Selectors are equalities; lists come in chunks of `limit` with a `continue` token, as the real one does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.fakes.sources import Answer, Asked, SourceServer

GROUPS = {
    "/api/v1": ("pods", "events", "nodes"),
    "/apis/apps/v1": ("deployments", "replicasets"),
    "/apis/argoproj.io/v1alpha1": ("applications",),
}


class FakeKubernetes(SourceServer):
    """`objects` by plural; `forbidden` are plurals that may not be listed, `missing` those there are not."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        super().__init__()
        self.objects = objects
        self.forbidden: set[str] = set()
        self.missing: set[str] = set()

    def kubeconfig(self, folder: Path) -> str:
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": "t0ken"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return str(path)

    def found(self, asked: Asked) -> Answer | None:
        for base, plurals in GROUPS.items():
            rest = asked.raw_path.removeprefix(base + "/").split("/")
            if not asked.raw_path.startswith(base + "/") or rest[-1] not in plurals:
                continue
            namespace = rest[1] if rest[0] == "namespaces" else None
            return self._list(rest[-1], namespace, asked)
        return _status(404, "NotFound", "the server could not find the requested resource")

    def _list(self, plural: str, namespace: str | None, asked: Asked) -> Answer:
        if plural in self.missing:
            return _status(404, "NotFound", "the server could not find the requested resource")
        if plural in self.forbidden:
            return _status(
                403, "Forbidden", f'{plural} is forbidden: User "sre" cannot list resource "{plural}"'
            )
        found = [
            each
            for each in self.objects.get(plural, [])
            if namespace in (None, each["metadata"].get("namespace"))
            and _holds(asked.params.get("labelSelector", ""), each["metadata"].get("labels", {}))
            and _holds(asked.params.get("fieldSelector", ""), _fields(each))
        ]
        start, limit = int(asked.params.get("continue", "0")), int(asked.params.get("limit", "0") or 0)
        end = start + limit if limit else len(found)
        metadata = {"resourceVersion": "1", **({"continue": str(end)} if end < len(found) else {})}
        return Answer({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start:end]})


def _holds(selector: str, held: dict[str, str]) -> bool:
    pairs = [each.replace("==", "=").partition("=") for each in selector.split(",") if each]
    return all(held.get(name) == value for name, _, value in pairs)


def _fields(found: dict[str, Any]) -> dict[str, str]:
    about = found.get("involvedObject", {})
    return {
        "metadata.name": found["metadata"]["name"],
        "type": found.get("type", ""),
        "involvedObject.name": about.get("name", ""),
    }


def _status(code: int, reason: str, message: str) -> Answer:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Answer(body, status=code)


AT = "2026-11-20T11:00:00Z"


def pod(name: str, service: str = "checkout", **status: Any) -> dict[str, Any]:
    """Running and ready, unless `status` says otherwise; with a secret in its environment."""
    container = {"name": service, "image": f"registry.acme.example/{service}:1.2"}
    fine = {**container, "ready": True, "restartCount": 0, "state": {"running": {"startedAt": AT}}}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": service},
            "creationTimestamp": AT,
            "annotations": {"note": "annotated-secret"},
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{**container, "env": [{"name": "DB_PASSWORD", "value": "env-secret"}]}],
        },
        "status": {"phase": "Running", "startTime": AT, "containerStatuses": [fine], **status},
    }


def crashing(name: str, service: str = "checkout") -> dict[str, Any]:
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-20T11:40:00Z"}
    status = {
        "name": service,
        "ready": False,
        "restartCount": 6,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting"}},
        "lastState": {"terminated": ended},
    }
    return pod(name, service, containerStatuses=[status])


def event(about: str, reason: str, message: str, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{about}.{reason.lower()}", "namespace": "shop", "creationTimestamp": AT},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": about},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "lastTimestamp": AT,
        **more,
    }


def node(name: str, **conditions: str) -> dict[str, Any]:
    listed = [
        {"type": kind, "status": status, "lastTransitionTime": AT} for kind, status in conditions.items()
    ]
    return {"metadata": {"name": name}, "spec": {}, "status": {"conditions": listed}}


def replica_set(name: str, at: str, image: str, owner: str = "checkout") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": owner},
            "creationTimestamp": at,
            "ownerReferences": [{"kind": "Deployment", "name": owner, "controller": True}],
        },
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"replicas": 1},
    }


def deployment(name: str, *, wanted: int = 2, available: int = 2, **conditions: str) -> dict[str, Any]:
    listed = [
        {"type": kind, "status": status, "lastTransitionTime": AT} for kind, status in conditions.items()
    ]
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}, "creationTimestamp": AT},
        "spec": {"replicas": wanted, "template": {"spec": {"containers": [{"image": f"x/{name}:1.2"}]}}},
        "status": {"readyReplicas": available, "availableReplicas": available, "conditions": listed},
    }
