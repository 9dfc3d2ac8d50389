"""Causes that are no change: traffic, a certificate, someone else's outage, the platform, a full resource."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from app.context.names import squeezed, words
from app.investigations.evidence import Cause, CauseKind, Reason
from app.investigations.ranking.anomalies import Anomaly
from app.investigations.ranking.measures import measure_of
from app.investigations.ranking.scene import Scene
from app.investigations.ranking.weighing import plain, weighed
from app.signals.models import ClusterEvent, Span

START = -2.0
LEAST_SURGE = 1.4
PEER_KEYS = (
    "peer.service",
    "server.address",
    "net.peer.name",
    "upstream.host",
    "http.host",
    "peer",
    "http.url",
    "url.full",
)
LABELS = r"(?:[a-z0-9][a-z0-9-]{0,62}\.)+"
PUBLIC = r"(?:com|net|org|io|dev|app|cloud|ai|co|gov|edu|eu|us|uk|de|fr|jp|cn|in|au|ca|br)"
HOST = re.compile(rf"(?<=://){LABELS}[a-z]{{2,18}}\b|(?<![\w.]){LABELS}{PUBLIC}\b(?![\w.(])", re.IGNORECASE)
"""A host in an address, or a name in one of the larger public domains: `Checkout.Validate` is a method."""
OTHERS = frozenset({"provider", "external", "vendor", "partner", "thirdparty", "outbound", "egress"})
INSIDE = (".local", ".internal", ".svc", ".cluster", ".lan")
CERTIFICATE = re.compile(r"\b(?:certificate|x509|tls|ssl|cert)\b", re.IGNORECASE)
EXPIRED = re.compile(r"expired|not yet valid|past its validity", re.IGNORECASE)

DISK = r"no space left on device|disk (?:is )?full|disk quota exceeded|read-only file system"
HANDLES = r"too many open files|EMFILE|file descriptors?"
MEMORY = r"out of memory|oom-?kill|cannot allocate memory|heap (?:space|exhausted|limit)"
NAMES = r"no such host|name resolution|NXDOMAIN|SERVFAIL|dns (?:lookup|error|timeout)|could not resolve"
NETWORK = r"no route to host|network is unreachable|network partition|packet loss"
QUOTA = r"quota exceeded|rate limit|too many requests|throttl"
POOL = (
    r"pool\b[^.;]{0,60}\b(?:exhausted|is full|timed? ?out|time-?out)"
    r"|no (?:free |available |idle )?connections? (?:of|in|from|left|available)"
    r"|(?:wait(?:ing)?|timed out|timeout) (?:for|acquiring|on) (?:a |an )?(?:free |idle )?connection"
    r"|too many (?:clients|connections)|remaining connection slots"
)
RESOURCES: tuple[tuple[re.Pattern[str], CauseKind, str], ...] = (
    (re.compile(DISK, re.IGNORECASE), "saturation", "a disk is full"),
    (re.compile(HANDLES, re.IGNORECASE), "saturation", "file handles ran out"),
    (re.compile(MEMORY, re.IGNORECASE), "saturation", "memory ran out"),
    (re.compile(NAMES, re.IGNORECASE), "platform", "names could not be resolved"),
    (re.compile(NETWORK, re.IGNORECASE), "platform", "the network failed"),
    (re.compile(QUOTA, re.IGNORECASE), "saturation", "a quota was used up"),
    (re.compile(POOL, re.IGNORECASE), "saturation", "a pool of connections was used up"),
)
NODE_TROUBLE = re.compile(
    r"node|evict|pressure|preempt|reclaim|shutdown|volume|network|schedul", re.IGNORECASE
)


def others(scene: Scene) -> tuple[Cause, ...]:
    """Whatever speaks for a cause that nobody changed anything for; the most likely first."""
    found = [*_traffic(scene), *_certificate(scene), *_outside(scene), *_resources(scene), *_platform(scene)]
    found += _component(scene)
    return tuple(sorted(found, key=lambda cause: (-cause.score, cause.kind, cause.service or "")))


def _traffic(scene: Scene) -> Iterator[Cause]:
    """More requests from outside. Inside, more calls are what a caller makes of its own requests, so only
    services nobody of ours calls, or whose callers are asked more too, count."""
    surges = {
        each.service: each
        for each in reversed(scene.anomalies)
        if each.measure == "traffic" and each.service and _times(each) >= LEAST_SURGE
    }
    measured = {each.service for each in scene.seen.series if measure_of(each) == "traffic"}
    entries = [
        service for service in sorted(surges) if all(caller in surges for caller in scene.callers(service))
    ]
    if not entries or not set(entries) & {*scene.kin, *_upstream(scene)}:
        return
    outermost = [service for service in entries if not scene.callers(service)] or entries
    first = min(outermost, key=lambda service: (-_times(surges[service]), service))
    anomaly = surges[first]
    times = _times(anomaly)
    weight = min(1.2 * math.log2(times) + 0.5, 4.0)
    reasons = [Reason(f"requests of {first} rose to {times:.1f} times", weight, first, anomaly.seen)]
    if anomaly.at > scene.since + 2 * scene.step:
        reasons.append(Reason("the trouble began before the requests rose", -3.0, first, anomaly.seen))
    risen = len(surges) / len(measured)
    if len(measured) >= 3:
        told = f"{len(surges)} of {len(measured)} services are asked more"
        reasons.append(Reason(told, 2 * (risen - 0.5), first))
    told = f"More requests reach {first}: {times:.1f} times as many as before"
    yield weighed("traffic", first, told, START, reasons)


def _times(anomaly: Anomaly) -> float:
    return min(anomaly.after / anomaly.before, 1000.0) if anomaly.before > 0 else 1.0


def _upstream(scene: Scene) -> set[str]:
    """Everything that calls the symptom's service, directly or not."""
    found: set[str] = set()
    waiting = list(scene.callers(scene.seen.service))
    while waiting:
        caller = waiting.pop()
        if caller not in found:
            found.add(caller)
            waiting += scene.callers(caller)
    return found


def _certificate(scene: Scene) -> Iterator[Cause]:
    reasons = []
    telling = [
        *((each.example, each.service, f"log:{each.service or ''}/{each.text}") for each in scene.templates),
        *((span.error or "", span.service, f"span:{span.trace_id}/{span.span_id}") for span in scene.failing),
        *((event.message, event.service, f"event:{event.kind}/{event.name}") for event in scene.events),
    ]
    told = [each for each in telling if CERTIFICATE.search(each[0]) and EXPIRED.search(each[0])]
    if told:
        _, service, seen = told[0]
        reasons.append(
            Reason("errors since the onset say that a certificate has expired", 4.0, service, seen)
        )
    elif CERTIFICATE.search(scene.seen.title) and EXPIRED.search(scene.seen.title):
        reasons.append(Reason("the alert says that a certificate has expired", 2.5, scene.seen.service))
    for series in scene.seen.series:
        if measure_of(series) == "expiry" and _runs_out(series.points, scene):
            seen = f"series:{series.service or ''}/{series.name}"
            told_by_clock = f"{plain(series.name)} reached zero as the trouble began"
            reasons.append(Reason(told_by_clock, 3.0, series.service, seen))
            break
    if reasons:
        at = next((each.service for each in reversed(reasons) if each.service), scene.seen.service)
        owner = next((owner for each in told if (owner := _host_of_ours(each[0], scene))), None)
        statement = f"A certificate expired, seen at {at}"
        if owner and owner != at:
            statement = f"The certificate of {owner} expired, seen at {at}, which calls it"
        yield weighed("certificate", owner or at, statement, START, reasons)


def _host_of_ours(text: str, scene: Scene) -> str | None:
    """The service of ours whose host a text names first."""
    ours = {squeezed(service): service for service in scene.services}
    labels = (label for host in HOST.findall(text) for label in host.split(".")[:1])
    return next((ours[name] for label in labels if (name := squeezed(label)) in ours), None)


def _runs_out(points: Sequence[tuple[float, float]], scene: Scene) -> bool:
    """Whether a countdown crosses zero within ten minutes (or two samples) of the onset."""
    crossing = next((now[0] for was, now in pairwise(points) if was[1] > 0 >= now[1]), None)
    return crossing is not None and abs(crossing - scene.since) <= max(600.0, 2 * scene.step)


def _outside(scene: Scene) -> Iterator[Cause]:
    """A party that is no service of ours fails where requests begin to fail."""
    known = {squeezed(service) for service in scene.services}
    peers: dict[str, list[Reason]] = {}
    spans = [(peer, span) for span in scene.failing if (peer := _peer_of_span(span, known))]
    for peer, span in spans[:1]:
        share = sum(1 for each, _ in spans if each == peer) / len(scene.failing)
        seen = f"span:{span.trace_id}/{span.span_id}"
        peers.setdefault(peer, []).append(
            Reason(f"requests begin to fail in calls to {peer}", 1.5 + 1.5 * share, span.service, seen)
        )
    bad = [each for each in scene.templates if each.level in ("warn", "error", "fatal")]
    for template in bad:
        peer = _peer_of_text(template.example, known)
        if peer and not any(reason.seen and reason.seen.startswith("log:") for reason in peers.get(peer, ())):
            share = template.after / sum(each.after for each in bad)
            seen = f"log:{template.service or ''}/{template.text}"
            peers.setdefault(peer, []).append(
                Reason(f"errors since the onset name {peer}", 1.6 + 1.5 * share, template.service, seen)
            )
    chart = next(
        (each for each in scene.anomalies if each.rose and OTHERS & set(words(each.series.name))), None
    )
    for peer, reasons in sorted(_joined(peers).items()):
        if chart is not None:
            told = f"{chart.series.name} of {chart.service} rose"
            reasons.append(Reason(told, 0.6, chart.service, chart.seen))
        yield weighed("dependency", peer, f"{peer}, which is not one of our services, fails", START, reasons)


def _joined(peers: dict[str, list[Reason]]) -> dict[str, list[Reason]]:
    """One party under the name most spoken of: `stripe` and `api.stripe.com` are the same."""
    joined: dict[str, list[Reason]] = {}
    for peer in sorted(peers, key=lambda name: (-len(name), name)):
        home = next((known for known in joined if squeezed(peer) in squeezed(known)), peer)
        joined.setdefault(home, []).extend(peers[peer])
    return joined


def _peer_of_span(span: Span, known: set[str]) -> str | None:
    for key in PEER_KEYS:
        value = str(span.attributes.get(key, ""))
        name = (urlsplit(value).hostname or "") if "//" in value else value.partition(":")[0]
        if name and not _ours(name, known):
            return name
        if name:
            return None
    return _peer_of_text(span.name, known)


def _peer_of_text(text: str, known: set[str]) -> str | None:
    hosts = [host for host in HOST.findall(text) if not host.lower().endswith(INSIDE)]
    return next((host.lower() for host in hosts if not _ours(host, known)), None)


def _ours(name: str, known: set[str]) -> bool:
    """A host is ours when one of its labels is a service's name or it has an internal ending."""
    labels = [squeezed(label) for label in name.split(".")]
    inside = name.lower().endswith(INSIDE) or re.fullmatch(r"[\d.]+|localhost|\[?[0-9a-f:]+\]?", name)
    return bool(inside) or squeezed(name) in known or any(label in known for label in labels)


def _resources(scene: Scene) -> Iterator[Cause]:
    """Error lines since the onset that say by themselves what ran out or broke."""
    for pattern, kind, told in RESOURCES:
        for template in scene.templates:
            if template.level in ("debug", "info") or not pattern.search(template.example):
                continue
            seen = f"log:{template.service or ''}/{template.text}"
            weight = 2.6 if template.is_new else 1.8
            reason = Reason(f"errors since the onset say that {told}", weight, template.service, seen)
            where = f" at {template.service}" if template.service else ""
            yield weighed(kind, template.service, f"{told[0].upper()}{told[1:]}{where}", START, [reason])
            break


def _platform(scene: Scene) -> Iterator[Cause]:
    """Warnings about nodes and scheduling accuse the platform; those about pods, their service."""
    nodes = [e for e in scene.events if e.kind.lower() == "node" or NODE_TROUBLE.search(e.reason)]
    if nodes:
        event = min(nodes, key=lambda each: (abs(each.at - scene.since), each.name))
        weight = 2.5 if event.at <= scene.since + 2 * scene.step else 1.0
        told = f"The platform: {event.reason} of {event.kind} {event.name}"
        yield weighed("platform", event.service, told, START, [_told_by(event, weight)])


def _told_by(event: ClusterEvent, weight: float) -> Reason:
    text = f"{event.kind} {event.name}: {event.reason}"
    return Reason(text, weight, event.service, f"event:{event.kind}/{event.name}")


def _component(scene: Scene) -> Iterator[Cause]:
    """The service where the walk ends, when nothing else is known about why."""
    suspect = scene.walk.suspect
    worse = [each for each in scene.by_service.get(suspect or "", ()) if each.adverse]
    pods = [event for event in scene.events if event.service is not None and event.service == suspect]
    if suspect is None or not (worse or pods):
        return
    reasons = [
        Reason(
            f"{plain(each.series.name)} of {suspect} left its level",
            min(each.size, 30.0) / 20,
            suspect,
            each.seen,
        )
        for each in worse[:1]
    ]
    if len(scene.walk.path) > 1:
        way = " → ".join(scene.walk.path)
        reasons.append(Reason(f"it is the deepest service in trouble along {way}", 0.8, suspect))
    elif well := scene.well_callees(suspect):
        reasons.append(Reason(f"nothing it calls is in trouble ({', '.join(well[:5])})", 0.6, suspect))
    reasons += [_told_by(event, 0.7) for event in pods[:1]]
    kind, told = _kind_of_component(suspect, worse, scene)
    yield weighed(kind, suspect, told, START, reasons)


def _kind_of_component(suspect: str, worse: Sequence[Anomaly], scene: Scene) -> tuple[CauseKind, str]:
    if worse and worse[0].measure == "saturation":
        return "saturation", f"{suspect} runs out of a resource"
    if suspect != scene.walk.path[0]:
        return "dependency", f"{suspect}, which {scene.walk.path[0]} depends on, is in trouble"
    return "service", f"{suspect} itself is in trouble"
