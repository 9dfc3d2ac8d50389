"""The Argo CD-shaped system: applications with the history of their rollouts, and a page of each.

Shapes follow https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/ and the Application resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from app.playground.example import OWNER
from app.playground.stack.noise import salt
from app.playground.stack.pages import page, sentence, table
from app.playground.stack.serving import Declined, System
from app.playground.stack.shop import NAMESPACE
from app.playground.stack.story import Deployed
from app.playground.stack.world import World, stamp

IN_CLUSTER = "https://kubernetes.default.svc"
REPOS = f"https://github.com/{OWNER}"


class ArgoCd:
    """Answers for `system` out of the rollouts of the story."""

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        system.get("/api/v1/applications", self._list)
        system.get("/api/v1/applications/{name}", lambda request: self.application(_name(request)))
        system.get("/api/v1/applications/{name}/revisions/{revision}/metadata", self._revision)
        system.get("/api/v1/applicationsets", lambda _: {"metadata": {}, "items": [self._set()]})
        system.get("/api/version", lambda _: {"Version": "v2.14.0"})
        system.page("/applications/{place:.*}", self._page)
        system.page("/", self._overview)

    def application(self, name: str) -> dict[str, Any]:
        """An Application resource as it is now.

        Raises:
            Declined: 404 for a service there is not.
        """
        if name not in self._world.shop.services:
            message = f'applications.argoproj.io "{name}" not found'
            raise Declined(404, {"error": message, "code": 5, "message": message})
        done = self._done(name)
        last = done[-1]
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": name,
                "namespace": "argocd",
                "labels": {"app": name, "team": self._world.shop.services[name].team.lower()},
                "creationTimestamp": stamp(done[0].at - 400 * 86_400),
            },
            "spec": {
                "project": "shop",
                "source": self._source(last),
                "destination": {"server": IN_CLUSTER, "namespace": NAMESPACE},
                "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
            },
            "status": self._status(name, done),
        }

    def _status(self, name: str, done: Sequence[Deployed]) -> dict[str, Any]:
        last = done[-1]
        rolled = last.at + last.roll_seconds <= self._world.now()
        return {
            "sync": {"status": "Synced", "revision": last.revision},
            "health": {"status": "Healthy" if rolled else "Progressing"},
            "history": [self._entry(number, each) for number, each in enumerate(done, 41)],
            "summary": {"images": [_image(last)]},
            "operationState": {
                "phase": "Succeeded",
                "message": "successfully synced (all tasks run)",
                "startedAt": stamp(last.at - 9),
                "finishedAt": stamp(last.at),
                "syncResult": {"revision": last.revision, "source": self._source(last)},
            },
            "reconciledAt": stamp(self._world.now() - 30),
        }

    def _entry(self, number: int, deployed: Deployed) -> dict[str, Any]:
        return {
            "id": number,
            "revision": deployed.revision,
            "deployStartedAt": stamp(deployed.at - 9),
            "deployedAt": stamp(deployed.at),
            "initiatedBy": {"automated": True},
            "source": self._source(deployed),
        }

    def _source(self, deployed: Deployed) -> dict[str, Any]:
        return {
            "repoURL": f"{REPOS}/{deployed.service}.git",
            "path": "deploy",
            "targetRevision": "main",
            "kustomize": {"images": [_image(deployed)]},
        }

    def _done(self, name: str) -> list[Deployed]:
        """The rollouts that have begun by now."""
        return [each for each in self._world.story.rollouts(name) if each.at <= self._world.now()]

    def _list(self, request: web.Request) -> Any:
        wanted = request.query.get("selector", "")
        items = [self.application(name) for name in self._world.shop.services]
        if wanted.startswith("app="):
            items = [item for item in items if item["metadata"]["labels"]["app"] == wanted[4:]]
        return {"metadata": {"resourceVersion": "1"}, "items": items}

    def _revision(self, request: web.Request) -> Any:
        for deployed in self._done(_name(request)) if _name(request) in self._world.shop.services else ():
            if deployed.revision == request.match_info["revision"]:
                return {
                    "author": f"{deployed.author} <{deployed.author.split()[0].lower()}@acme.example>",
                    "date": stamp(deployed.at - 1260),
                    "message": f"{deployed.message}\n\nRelease {deployed.version}.",
                    "tags": [f"v{deployed.version}"],
                }
        raise Declined(404, {"error": "revision not found", "code": 5, "message": "revision not found"})

    def _set(self) -> dict[str, Any]:
        names = list(self._world.shop.services)
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {
                "generators": [{"list": {"elements": [{"service": name} for name in names]}}],
                "template": {"metadata": {"name": "{{service}}"}, "spec": {"project": "shop"}},
            },
            "status": {
                "conditions": [{"type": "ResourcesUpToDate", "status": "True"}],
                "resources": [{"kind": "Application", "name": name, "namespace": "argocd"} for name in names],
            },
        }

    # --- pages -------------------------------------------------------------------------------------------

    def _page(self, request: web.Request) -> str:
        """`/applications/checkout` and `/applications/argocd/checkout`."""
        name = request.match_info["place"].strip("/").split("/")[-1]
        if name not in self._world.shop.services:
            raise Declined(404, f"There is no application {name!r}.")
        rows = [
            (stamp(each.at), each.version, each.revision[:12], each.message, each.author)
            for each in reversed(self._done(name))
        ]
        return page(
            f"Application {name}", table(("deployed", "version", "revision", "message", "author"), rows)
        )

    def _overview(self, _: web.Request) -> str:
        rows = [(name, self._done(name)[-1].version) for name in self._world.shop.services]
        return page("Applications", sentence("Open /applications/<name>."), table(("name", "version"), rows))


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _image(deployed: Deployed) -> str:
    return f"registry.acme.example/{deployed.service}:{deployed.version}"


def uid(*parts: object) -> str:
    """A UUID-shaped id that stays the same."""
    digits = f"{salt('uid', *parts):016x}{salt('uid again', *parts):016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
