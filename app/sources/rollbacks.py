"""A deployment put back on a replica set that was there: nothing is made anew but its revision and its pods.

The controller gives the replica set that it returns to the next revision and writes no time to it
(https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment). So when it
was is told by the oldest of its pods, which are made anew, and at the latest by the last progress of the
deployment (its condition Progressing, where that names the replica set). Earlier ones have no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.signals.models import Change
from app.sources.cluster_state import name_of
from app.sources.kubernetes import images_of
from app.sources.parts import Part, moment, part, parts, told

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"


@dataclass(frozen=True)
class Rollback:
    """`to` is the replica set that runs, `behind` the one it took over from (None when it is gone), `since`
    when the newest of all was made: no rollback to an older one was before that."""

    owner: str
    to: Part
    behind: Part | None
    revision: int
    since: float


def rollbacks(owner: str, sets: Sequence[Part]) -> Iterator[Rollback]:
    """What the replica sets of one deployment tell: the newest revision is of one that had another before."""
    known = sorted(
        ((revision, made, each) for each in sets if (revision := _revision(each)) and (made := _made(each))),
        key=lambda known: known[:2],
    )
    if not known:
        return
    revision, made, newest = known[-1]
    since = max(each for _, each, _ in known)
    if told(part(newest, "metadata", "annotations"), HISTORY) or made < since:
        behind = known[-2][2] if len(known) > 1 else None
        yield Rollback(owner, newest, behind, revision, since)


def as_change(
    found: Rollback, deployments: Sequence[Part], pods: Sequence[Part], service: str
) -> Change | None:
    """The rollback with its time; None where nothing tells it."""
    if (at := _at(found, deployments, pods)) is None:
        return None
    images = images_of(part(found.to, "spec", "template"))
    same = found.behind is not None and images == images_of(part(found.behind, "spec", "template"))
    tags = [tag for each in images if (tag := each.partition("@")[0].partition(":")[2])]
    version = ", ".join(dict.fromkeys(tags))[:120] or "a replica set"
    what = "earlier settings of the same images" if same else f"{version}, which had run before"
    return Change(
        kind="config" if same else "deploy",
        id=f"{name_of(found.to)}@{found.revision}",
        at=at,
        title=f"{found.owner}: put back on {what}",
        service=service,
        source="kubernetes",
    )


def _at(found: Rollback, deployments: Sequence[Part], pods: Sequence[Part]) -> float | None:
    name = told(part(found.to, "metadata"), "name")
    made = [at for pod in pods if _is_of(pod, name) and (at := _made(pod)) is not None]
    progress = [
        at
        for each in deployments
        if told(part(each, "metadata"), "name") == found.owner and _namespace(each) == _namespace(found.to)
        for condition in parts(part(each, "status"), "conditions")
        if condition.get("type") == "Progressing" and f'"{name}"' in told(condition, "message", 1000)
        if (at := moment(condition.get("lastUpdateTime"))) is not None
    ]
    return min((at for at in (*made, *progress) if at >= found.since), default=None)


def _is_of(pod: Part, replica_set: str) -> bool:
    owners = parts(part(pod, "metadata"), "ownerReferences")
    return any(each.get("kind") == "ReplicaSet" and told(each, "name") == replica_set for each in owners)


def _revision(found: Part) -> int:
    number = told(part(found, "metadata", "annotations"), REVISION)
    return int(number) if number.isascii() and number.isdigit() else 0


def _made(found: Part) -> float | None:
    return moment(part(found, "metadata").get("creationTimestamp"))


def _namespace(found: Part) -> str:
    return told(part(found, "metadata"), "namespace")
