"""What was rolled out, where no Argo CD tells it: the replica sets that deployments made in the cluster."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from app.signals.models import Change
from app.sources.changed import Changed
from app.sources.cluster_state import name_of
from app.sources.failures import NotThere, SourceFailed
from app.sources.kubernetes import Kind, KubernetesReader, images_of
from app.sources.parts import Part, moment, part, parts, told
from app.sources.rollbacks import as_change, rollbacks

TIMED_BY: tuple[Kind, ...] = ("deployments", "pods")
"""What tells when a rollback was."""


@dataclass(frozen=True)
class ClusterRollouts:
    cluster: KubernetesReader

    async def between(self, start: float, end: float, around: Collection[str]) -> Changed:
        """The rollouts of the services `around`, and a rollback of theirs to a replica set that was there.

        Raises:
            SourceFailed: the cluster gives no usable answer.
        """
        if not around:
            raise NotThere("kubernetes", "tells the rollouts of a service, and none is named.")
        names = list(around)
        answers = await asyncio.gather(*(self.cluster.of_service("replicasets", name) for name in names))
        found = [
            change
            for name, sets in zip(names, answers, strict=True)
            for change in (*rollouts(sets, name), *await self._rollbacks(sets, name))
            if start <= change.at <= end
        ]
        return Changed(tuple(sorted(found, key=lambda each: (each.at, each.id))))

    async def _rollbacks(self, sets: Sequence[Part], service: str) -> Sequence[Change]:
        """Their times are asked for where there are some; what may not be listed tells none."""
        owned = _by_owner(sets)
        found = [each for owner, own in owned.items() for each in rollbacks(owner[1], own)]
        if not found:
            return ()
        deployments, pods = await asyncio.gather(*(self._listed(kind, service) for kind in TIMED_BY))
        changes = (as_change(each, deployments, pods, service) for each in found)
        return [each for each in changes if each is not None]

    async def _listed(self, kind: Kind, service: str) -> Sequence[Part]:
        try:
            return await self.cluster.of_service(kind, service)
        except SourceFailed:
            return ()


def rollouts(sets: Sequence[Part], service: str) -> Iterator[Change]:
    """Each replica set as the rollout that made it; one with the images of its predecessor changed only how
    they are run."""
    for (_, owner), own in _by_owner(sets).items():
        made = [
            (at, each)
            for each in own
            if (at := moment(part(each, "metadata").get("creationTimestamp"))) is not None
        ]
        before: tuple[str, ...] | None = None
        for at, each in sorted(made, key=lambda pair: pair[0]):
            images = images_of(part(each, "spec", "template"))
            same = before == images
            yield Change(
                kind="config" if same else "deploy",
                id=name_of(each),
                at=at,
                title=f"{owner}: other settings of the same images" if same else _title(owner, images),
                service=service,
                source="kubernetes",
            )
            before = images


def _by_owner(sets: Sequence[Part]) -> dict[tuple[str, str], list[Part]]:
    """By namespace and deployment: one name may be in several namespaces."""
    found: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for each in sets:
        found[told(part(each, "metadata"), "namespace"), _owner(each)].append(each)
    return found


def _owner(found: Part) -> str:
    owners = parts(part(found, "metadata"), "ownerReferences")
    name = next((told(each, "name") for each in owners if each.get("kind") == "Deployment"), "")
    return name or name_of(found)


def _title(owner: str, images: Sequence[str]) -> str:
    """“checkout 1.15.0”: the deployment and the tags of its images."""
    tags = [tag for each in images if (tag := each.partition("@")[0].partition(":")[2])]
    return f"{owner} {', '.join(dict.fromkeys(tags))[:120]}".strip()
