"""Changes as suspects: deploys with the commits they brought, commits nobody deployed, flags, configuration.

That something changed shortly before is a hint and no more. What counts is whether the change could have
taken effect before the trouble began, where it was, what its diff does, and whether it speaks of the same
things as the symptoms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.investigations.evidence import Cause, Reason
from app.investigations.ranking.anomalies import Anomaly
from app.investigations.ranking.diffs import Effect, effect_of, is_inert
from app.investigations.ranking.scene import TROUBLED, Scene
from app.investigations.ranking.weighing import plain, weighed
from app.investigations.ranking.wording import WEIGHT_OF_CHANGED, WEIGHT_OF_TITLE, Wording
from app.signals.models import Change

START = -2.0
RULED_OUT = 8.0
NOT_DEPLOYED = 2.5
TIMELY = 1.1
HALF_LIFE = 20 * 60.0
"""After which a change is half as timely: caches empty and pools fill within minutes to an hour."""
OLD = 3 * 60 * 60.0
NEUTRAL_EFFECT = 0.45
EFFECT = 4.0
HARMLESS = 11.0
"""A diff that hardly does anything says more against a change than one that does something says for it."""
WORDS = 1.8
BY_TITLE = 0.3
LONGEST_TITLE = 120
SHORT_REVISION = 7
FAULT_OF_CODE = re.compile(
    r"\bpanic\b|nil pointer|null ?pointer|null reference|segmentation fault|stack overflow"
    r"|\b(?:Type|Key|Attribute|Name|Index|Value|Reference|Syntax|Assertion)Error\b|unhandled exception"
    r"|index out of (?:range|bounds)|undefined (?:is not|method|variable)|cannot read propert"
    r"|\btraceback\b|NoSuchMethod|ClassCast|syntax error|unmarshal",
    re.IGNORECASE,
)
"""What programs of many languages say when their own code broke."""


@dataclass(frozen=True)
class Suspect:
    """One change with the time it took effect; `rolled_out` is the deploy that brought a commit."""

    change: Change
    at: float
    service: str | None
    rolled_out: Change | None = None
    deployed: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        return self.change.files or (self.rolled_out.files if self.rolled_out else ())

    @property
    def diff(self) -> str | None:
        """The change's own, else that of all it came with."""
        whole = self.rolled_out.diff if self.rolled_out and not self.change.files else None
        return self.change.diff or whole

    @property
    def rollout(self) -> str:
        """What came together has this in common."""
        return f"rollout:{self.rolled_out.id}:{self.service}" if self.rolled_out else self.key

    @property
    def key(self) -> str:
        return f"{self.change.kind}:{self.change.id}:{self.service or ''}:{self.at}"


def suspects(scene: Scene) -> tuple[Cause, ...]:
    """All changes as causes, the most likely first; each change once."""
    found = tuple(_suspects(scene.seen.changes))
    effects = {each.key: effect_of(each.diff, each.files) for each in found}
    wording = _wording(scene, found, effects)
    causes = [(each, _cause(each, scene, effects[each.key], wording)) for each in found]
    causes.sort(key=lambda pair: (-pair[1].score, pair[0].change.id, pair[0].key))
    # The likeliest rollout stands for its change, and the likeliest commit for its rollout.
    changes: dict[str, tuple[Suspect, Cause]] = {}
    for suspect, cause in causes:
        changes.setdefault(suspect.change.id, (suspect, cause))
    rollouts: dict[str, Cause] = {}
    for suspect, cause in changes.values():
        rollouts.setdefault(suspect.rollout, cause)
    return tuple(rollouts.values())


def _suspects(changes: Sequence[Change]) -> Iterator[Suspect]:
    deploys = [change for change in changes if change.kind == "deploy"]
    commits = [change for change in changes if change.kind == "commit"]
    brought: set[str] = set()
    for deploy in deploys:
        known = [commit for commit in commits if _brought(commit, deploy, deploys)]
        brought |= {commit.id for commit in known}
        for commit in known:
            yield Suspect(commit, deploy.at, deploy.service or commit.service, deploy)
        if not known:
            yield Suspect(deploy, deploy.at, deploy.service)
    for change in changes:
        if change.kind in ("flag", "config"):
            yield Suspect(change, change.at, change.service)
        elif change.kind == "commit" and change.id not in brought:
            yield Suspect(change, change.at, change.service, deployed=not deploys)


def _brought(commit: Change, deploy: Change, deploys: Sequence[Change]) -> bool:
    """Whether a deploy brought a commit: it says so, it is of that revision, or it is the first of the
    commit's service after it."""
    if commit.id in deploy.commits or commit.id == deploy.id:
        return True
    if len(deploy.id) >= SHORT_REVISION and commit.id.startswith(deploy.id):
        return True
    if commit.service is None or commit.service != deploy.service or commit.at > deploy.at:
        return False
    named = any(commit.id in each.commits or commit.id == each.id for each in deploys)
    return not named and not any(
        each.service == commit.service and commit.at <= each.at < deploy.at for each in deploys
    )


def _wording(scene: Scene, found: Sequence[Suspect], effects: Mapping[str, Effect]) -> Wording:
    """What the symptoms say, and what each change that could have taken effect says."""
    symptoms = [(scene.seen.title, 0.5)]
    symptoms += [(each.series.name, 1.0 if each.service in scene.kin else 0.5) for each in scene.anomalies]
    symptoms += [(each.text, 1.0) for each in scene.templates]
    symptoms += [(f"{span.name} {span.error or ''}", 0.7) for span in scene.failing]
    texts = {
        each.key: (
            (effects[each.key].words, WEIGHT_OF_CHANGED),
            (f"{each.change.title} {' '.join(each.files)}", WEIGHT_OF_TITLE),
        )
        for each in found
    }
    return Wording(symptoms, texts, scene.services)


def _cause(suspect: Suspect, scene: Scene, effect: Effect, wording: Wording) -> Cause:
    rollout = f"change:{(suspect.rolled_out or suspect.change).id}"
    reasons = [
        *(replace(each, seen=rollout) for each in _when(suspect, scene)),
        *_where(suspect, scene),
        *_what(suspect, effect),
        *_said(suspect, scene),
        *_alike(suspect, effect, wording),
    ]
    seen = f"change:{suspect.change.id}"
    reasons = [replace(each, service=suspect.service, seen=each.seen or seen) for each in reasons]
    return weighed("change", suspect.service, _told(suspect), START, reasons, change_id=suspect.change.id)


def _told(suspect: Suspect) -> str:
    kind = {"deploy": "Deploy", "commit": "Commit", "flag": "Flag", "config": "Configuration"}[
        suspect.change.kind
    ]
    title = " ".join(suspect.change.title.split())[:LONGEST_TITLE]
    # What the title says already is not said twice.
    name = "" if suspect.change.short_id in title else f" {suspect.change.short_id}"
    place = f" of {suspect.service}" if suspect.service and suspect.service not in title else ""
    return f"{kind}{name}{place}: {title}"


def _when(suspect: Suspect, scene: Scene) -> list[Reason]:
    late = suspect.at - scene.since
    slack = scene.step if scene.onset is not None else 10 * 60.0
    if late >= slack:
        return [Reason(f"took effect {minutes(late)} after the trouble began", -RULED_OUT)]
    reasons = []
    if not suspect.deployed:
        reasons.append(Reason("no deploy is known to have carried it", -NOT_DEPLOYED))
    gap = max(scene.since - suspect.at, 0.0)
    lead = max(scene.began - suspect.at, 0.0)
    if gap > OLD:
        return [*reasons, Reason(f"took effect {minutes(gap)} before the trouble began", -1.0)]
    # Trouble that led to the symptom began earlier than the symptom; whichever is nearer counts.
    nearest = min(gap, lead) if suspect.at <= scene.began else gap
    weight = TIMELY * math.pow(0.5, nearest / HALF_LIFE) * (1 - max(late, 0.0) / slack)
    if weight > 0.1:
        reasons.append(Reason(f"took effect {minutes(gap)} before the trouble began", weight))
    return reasons


def _where(suspect: Suspect, scene: Scene) -> list[Reason]:
    service = suspect.service
    if service is None:
        return []
    reasons = []
    if service in (scene.seen.service, scene.walk.suspect):
        reasons.append(Reason(f"{service} is where the trouble shows", 0.9))
    elif service in scene.kin and service in scene.troubled:
        reasons.append(Reason(f"{service} is in trouble and next to where it shows", 0.7))
    elif service in scene.heard and service not in scene.troubled:
        reasons.append(Reason(f"{service} itself shows nothing wrong", -1.2))
    elif scene.seen.service is None and service not in scene.troubled:
        reasons.append(Reason(f"nothing connects {service} with the alert, which names no service", -1.2))
    elif service not in scene.kin:
        reasons.append(Reason(f"{service} is not connected to where the trouble shows", -0.8))
    if service == scene.walk.suspect and scene.well_callees(service):
        reasons.append(Reason(f"nothing {service} calls is in trouble", 0.4))
    amplified = _amplified(service, scene)
    if amplified is not None:
        told = f"{service} asks {amplified.service} {amplified.after / amplified.before:.1f} times as much"
        reasons.append(Reason(f"{told} without being asked more itself", 0.6, seen=amplified.seen))
    started = [
        each
        for each in scene.by_service.get(service, ())
        if -scene.step <= each.at - suspect.at <= 2.5 * scene.step
    ]
    if started:
        first = min(started, key=lambda each: (abs(each.at - suspect.at), each.series.name))
        reasons.append(
            Reason(f"{plain(first.series.name)} of {service} moved as it took effect", 0.6, seen=first.seen)
        )
    return reasons


def _said(suspect: Suspect, scene: Scene) -> list[Reason]:
    """What errors that are new since the onset say of it: the files it touched, or a fault of code."""
    texts = [
        *(
            (each.example, f"log:{each.service or ''}/{each.text}", each.service)
            for each in scene.templates
            if each.is_new and each.level in TROUBLED
        ),
        *((span.error or "", f"span:{span.trace_id}/{span.span_id}", span.service) for span in scene.failing),
    ]
    paths = [path for path in suspect.files if not is_inert(path)]
    found = []
    for text, seen, _ in texts:
        named = next((path for path in paths if path in text or _in_a_stack(path, text)), None)
        if named is not None:
            found.append(Reason(f"errors since the onset name {named}, which it touched", 1.6, seen=seen))
            break
    for text, seen, service in texts:
        if service is not None and service == suspect.service and FAULT_OF_CODE.search(text):
            found.append(Reason(f"errors new at {service} are faults of code", 0.7, seen=seen))
            break
    return found


def _in_a_stack(path: str, text: str) -> bool:
    """`pay/total.go:31` names the file `internal/pay/total.go`: its last folder and name, and a line."""
    near = "/".join(path.rsplit("/", 2)[-2:])
    return f"{near}:" in text or f'{near}", line' in text


def _amplified(service: str, scene: Scene) -> Anomaly | None:
    """A callee that is asked much more, although this caller is not."""
    risen = [each for each in scene.anomalies if each.measure == "traffic" and each.before > 0 and each.rose]
    if any(each.service == service for each in risen):
        return None
    callees = scene.depends_on.get(service, ())
    return next((each for each in risen if each.service in callees and each.after >= 1.5 * each.before), None)


def _what(suspect: Suspect, effect: Effect) -> list[Reason]:
    if suspect.change.kind == "flag":
        return [Reason("a flag says little about what it switched", -0.4)]
    above = effect.weight - NEUTRAL_EFFECT
    weight = above * (EFFECT if above > 0 else HARMLESS)
    if not effect.known or abs(weight) < 0.05:
        return []
    return [Reason(f"it {effect.what}", weight)]


def _alike(suspect: Suspect, effect: Effect, wording: Wording) -> list[Reason]:
    shared = wording.shared(suspect.key)
    # What hardly does anything may speak of anything, and a title alone says little of what was done.
    substance = min(1.0, effect.weight / NEUTRAL_EFFECT) if effect.known else BY_TITLE
    weight = WORDS * shared.score * substance
    if weight < 0.1:
        return []
    return [Reason(f"speaks of what the symptoms speak of: {', '.join(shared.words)}", weight)]


def minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
