"""What was rolled out, where no Argo CD tells it: the replica sets that deployments made in the cluster."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from app.signals.models import Change
from app.sources.changed import Changed
from app.sources.cluster_state import name_of
from app.sources.failures import NotThere
from app.sources.kubernetes import KubernetesReader, images_of
from app.sources.parts import Part, moment, part, parts, told


@dataclass(frozen=True)
class ClusterRollouts:
    cluster: KubernetesReader

    async def between(self, start: float, end: float, around: Collection[str]) -> Changed:
        """The rollouts of the services `around`. A rollback to a replica set that is still there makes none
        anew, so it does not show.

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
            for change in rollouts(sets, name)
            if start <= change.at <= end
        ]
        return Changed(tuple(sorted(found, key=lambda each: (each.at, each.id))))


def rollouts(sets: Sequence[Part], service: str) -> Iterator[Change]:
    """Each replica set as the rollout that made it; one with the images of its predecessor changed only how
    they are run."""
    by_owner: dict[str, list[tuple[float, Part]]] = defaultdict(list)
    for each in sets:
        if (at := moment(part(each, "metadata").get("creationTimestamp"))) is not None:
            by_owner[_owner(each)].append((at, each))
    for owner, made in by_owner.items():
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


def _owner(found: Part) -> str:
    owners = parts(part(found, "metadata"), "ownerReferences")
    name = next((told(each, "name") for each in owners if each.get("kind") == "Deployment"), "")
    return name or name_of(found)


def _title(owner: str, images: Sequence[str]) -> str:
    """“checkout 1.15.0”: the deployment and the tags of its images."""
    tags = [tag for each in images if (tag := each.partition("@")[0].partition(":")[2])]
    return f"{owner} {', '.join(dict.fromkeys(tags))[:120]}".strip()
