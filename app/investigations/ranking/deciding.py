"""From causes to an answer: which one leads, whether to name it, and how sure to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.investigations.evidence import Cause, Observations, Ranking, Reason, Verdict
from app.investigations.ranking.others import others
from app.investigations.ranking.scene import Scene
from app.investigations.ranking.suspects import suspects
from app.investigations.ranking.weighing import lowered, odds, raised

NAMED = 0.5
"""From this score on a cause is named; below it the answer is “unknown”."""
BLAMED = 0.55
"""The same for a change: an innocent one that is blamed costs more than one that was missed."""
NOT_RULED_OUT = 0.4
PLAIN = 0.8
"""A cause that is no change and stands out this much explains the onset without any change."""
EXPLAINED_AWAY = 1.5
CLOSE = 0.9
"""Log odds by which a change has to be ahead of the next one to be named."""
UNLIKELY = 0.3
NONE_FITS = 1.2
MOST_CAUSES = 12
DIRECT = frozenset({"traffic", "certificate", "platform"})


def rank(observations: Observations) -> Ranking:
    """Rank what may have caused an incident, by what was observed alone.

    Never raises for any observations; the order in which they come and the names services and changes have
    make no difference. Nothing that happened after the onset is named.
    """
    scene = Scene.of(observations)
    causes = _explained(suspects(scene), others(scene), looked=_looked_at_changes(scene.seen))
    verdict, confidence = _verdict(causes, scene)
    first = causes[0].service if causes and verdict != "unknown" else scene.walk.suspect
    return Ranking(
        onset=scene.onset,
        verdict=verdict,
        confidence=confidence,
        causes=causes[:MOST_CAUSES],
        services=_in_order(causes[0] if causes and verdict != "unknown" else None, scene.walk.ranked),
        impact=_impact(first, scene),
    )


def _in_order(best: Cause | None, walked: Sequence[str]) -> tuple[str, ...]:
    """The service of the cause that is named comes first, then those of the walk."""
    if best is None or best.service is None:
        return tuple(walked)
    return (best.service, *(service for service in walked if service != best.service))


def _explained(changes: Sequence[Cause], rest: Sequence[Cause], *, looked: bool) -> tuple[Cause, ...]:
    """All causes in order; what explains the onset by itself takes weight off every change, and where none of
    the changes fits, the component in trouble gains it."""
    plain = next((cause for cause in rest if cause.score >= PLAIN and _is_direct(cause)), None)
    if plain is not None:
        reason = Reason(
            f"something else explains the onset: {plain.statement}", EXPLAINED_AWAY, plain.service
        )
        changes = [lowered(cause, reason) for cause in changes]
    if looked and all(cause.score < UNLIKELY for cause in changes):
        fit = Reason("none of the changes fits", NONE_FITS)
        why = any(cause.score >= NAMED and _is_direct(cause) for cause in rest)
        # Where the trouble is must not outshine what is known of why.
        rest = [raised(cause, fit) if _is_direct(cause) or not why else cause for cause in rest]
    return tuple(
        sorted(
            (*changes, *rest),
            key=lambda cause: (-cause.score, cause.kind, cause.service or "", cause.change_id or ""),
        )
    )


def _is_direct(cause: Cause) -> bool:
    """Whether a cause was seen itself, rather than concluded from where the trouble is."""
    return cause.kind in DIRECT or any(
        reason.seen and reason.seen.startswith(("log:", "span:", "event:")) for reason in cause.reasons_for
    )


def _verdict(causes: Sequence[Cause], scene: Scene) -> tuple[Verdict, float]:
    best = causes[0] if causes else None
    if best is None:
        return "unknown", 0.0
    rival = next((cause for cause in causes[1:] if _rivals(cause, best)), None)
    margin = best.score - (rival.score if rival else 0.0)
    confidence = round(best.score * (0.5 + 0.5 * min(margin / 0.5, 1.0)), 3)
    if not _stands_out(best, causes[1:]):
        return "unknown", round(confidence / 2, 3)
    if best.kind == "change" or not _looked_at_changes(scene.seen):
        return "cause", confidence
    return "none_of_the_changes", confidence


def _stands_out(best: Cause, rest: Sequence[Cause]) -> bool:
    """Whether the first cause can be named beside the others."""
    change = next((cause for cause in rest if cause.kind == "change"), None)
    if best.kind == "change":
        ahead = change is None or odds(best.score) - odds(change.score) >= CLOSE
        return best.score >= BLAMED and ahead
    if _is_direct(best):
        return best.score >= NAMED
    # That a component is in trouble does not clear a change that may have brought it there.
    return best.score >= NAMED and (change is None or change.score < NOT_RULED_OUT)


def _rivals(cause: Cause, best: Cause) -> bool:
    """Where the trouble is does not compete with why: a component rivals a component only."""
    why = cause.kind == "change" or _is_direct(cause)
    return why or not (best.kind == "change" or _is_direct(best))


def _looked_at_changes(seen: Observations) -> bool:
    return bool(seen.changes) or bool(seen.sources_asked & CHANGE_SOURCES)


CHANGE_SOURCES = frozenset({"argocd", "github", "deploys", "deploy_history", "changes", "flags"})


def _impact(first: str | None, scene: Scene) -> tuple[str, ...]:
    """Who suffers: services in trouble that call the first cause, nearest first."""
    if first is None:
        return ()
    depends_on: Mapping[str, Sequence[str]] = scene.depends_on
    found: list[str] = []
    waiting = [first]
    while waiting:
        callee = waiting.pop(0)
        for caller in sorted(name for name, callees in depends_on.items() if callee in callees):
            if caller not in found and caller != first:
                found.append(caller)
                waiting.append(caller)
    return tuple(service for service in found if service in scene.troubled)
