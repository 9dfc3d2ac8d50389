"""PagerDuty, read only: who is on call, what was written about an incident, and incidents like it.

Shapes and limits: developer.pagerduty.com/api-reference/ (REST v2). Escalating is another room's work, with
another key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.settings import Endpoint
from app.sources.failures import UNFAMILIAR, QueryRejected, SourceFailed
from app.sources.http import ReadOnlyHttp
from app.sources.parts import Part, moment, part, parts, told

ALLOWED = (
    "/oncalls",
    "/services",
    "/incidents",
    "/incidents/*",
    "/incidents/*/notes",
    "/incidents/*/log_entries",
    "/incidents/*/past_incidents",
    "/incidents/*/related_incidents",
)
ID = re.compile(r"[A-Z0-9]{4,40}")
MOST_LISTED = 100
MOST_PAST = 10
LONGEST_NOTE = 600


OURS = "SRE Agent:"
"""How the notes begin that the agent itself leaves on incidents (`app.escalation`)."""


@dataclass(frozen=True)
class OnCall:
    """One person's turn; `level` 1 is asked first, `until` is None for somebody who always is.

    `email` is None unless it was asked for.
    """

    person: str
    level: int
    policy: str
    schedule: str | None = None
    until: float | None = None
    link: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Note:
    """What a person wrote on an incident, or what happened to it."""

    at: float
    text: str
    author: str | None = None


@dataclass(frozen=True)
class PastIncident:
    """An incident like another one; `score` is PagerDuty's measure of that, higher is nearer."""

    id: str
    at: float
    title: str
    link: str | None = None
    status: str = ""
    score: float | None = None
    service: str | None = None


@dataclass(frozen=True)
class PagerDutyService:
    id: str
    name: str
    policy_id: str | None
    link: str | None = None


class PagerDutyReader:
    """Reads one account. `endpoint.token` is an API key, a read-only one is enough."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 10,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        token = endpoint.token.get_secret_value() if endpoint.token else ""
        self.http = ReadOnlyHttp(
            Endpoint(endpoint.url, ca_file=endpoint.ca_file),
            ALLOWED,
            source="pagerduty",
            timeout_seconds=timeout_seconds,
            headers={"Authorization": f"Token token={token}"} if token else None,
            clock=clock,
        )

    async def aclose(self) -> None:
        await self.http.aclose()

    async def on_calls(
        self, *, service: str | None = None, policy_id: str | None = None, emails: bool = False
    ) -> tuple[OnCall, ...]:
        """Who is on call now for a service's escalation policy, or for the policy given; level 1 first.
        `emails` asks for their addresses too.

        Raises:
            QueryRejected: PagerDuty has no service of that name.
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        if service is not None:
            policy_id = (await self.service(service)).policy_id
        asked: list[tuple[str, str]] = [("earliest", "true"), ("limit", str(MOST_LISTED))]
        if policy_id:
            asked.append(("escalation_policy_ids[]", _id(policy_id)))
        if emails:
            asked.append(("include[]", "users"))
        answer = await self._listed("/oncalls", "oncalls", tuple(asked))
        found = {_on_call(each): None for each in answer}
        return tuple(sorted(found, key=lambda each: (each.policy, each.level, each.person)))

    async def service(self, name: str) -> PagerDutyService:
        """The service of that name, else the only one whose name holds it.

        Raises:
            QueryRejected: there is none, or several.
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        asked = (("query", name), ("limit", str(MOST_LISTED)))
        found = [_service(each) for each in await self._listed("/services", "services", asked)]
        same = [each for each in found if _plain(each.name) == _plain(name)]
        near = same or [each for each in found if _plain(name) in _plain(each.name)]
        if len(near) != 1:
            names = ", ".join(each.name for each in near[:10])
            why = f"has several for {name!r}: {names}." if near else f"has no service {name!r}."
            raise QueryRejected("pagerduty", why)
        return near[0]

    async def incident(self, incident_id: str) -> PastIncident:
        """One incident.

        Raises:
            SourceFailed: as `ReadOnlyHttp.json`; `NotThere` when there is none of that id.
        """
        answer = await self.http.json(f"/incidents/{_id(incident_id)}")
        if (found := _incident(part(answer, "incident"))) is None:
            raise SourceFailed("pagerduty", UNFAMILIAR)
        return found

    async def notes(self, incident_id: str) -> tuple[Note, ...]:
        """What people wrote on an incident, oldest first. Raises as `incident`."""
        answer = await self._listed(f"/incidents/{_id(incident_id)}/notes", "notes")
        return _in_order(_note(each, "content", part(each, "user")) for each in answer)

    async def log_entries(self, incident_id: str) -> tuple[Note, ...]:
        """What happened to an incident (triggered, notified, acknowledged …), oldest first. Raises as
        `incident`."""
        asked = (("is_overview", "true"), ("limit", str(MOST_LISTED)))
        answer = await self._listed(f"/incidents/{_id(incident_id)}/log_entries", "log_entries", asked)
        return _in_order(_note(each, "summary", part(each, "agent")) for each in answer)

    async def past(self, incident_id: str) -> tuple[PastIncident, ...]:
        """Resolved incidents of the same service that PagerDuty finds alike, nearest first. Raises as
        `incident`."""
        path = f"/incidents/{_id(incident_id)}/past_incidents"
        answer = await self._listed(path, "past_incidents", (("limit", str(MOST_PAST)),))
        found = [(_incident(part(each, "incident")), each.get("score")) for each in answer]
        return tuple(_scored(incident, score) for incident, score in found if incident is not None)

    async def related(self, incident_id: str) -> tuple[PastIncident, ...]:
        """Incidents of other services that are open at the same time and may belong together. Raises as
        `incident`."""
        answer = await self._listed(f"/incidents/{_id(incident_id)}/related_incidents", "related_incidents")
        found = (_incident(part(each, "incident")) for each in answer)
        return tuple(each for each in found if each is not None)

    async def of_service(self, service: str, start: float, end: float) -> tuple[PastIncident, ...]:
        """The incidents of a service between two times, oldest first; at most 100.

        Raises:
            QueryRejected: PagerDuty has no service of that name.
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        known = await self.service(service)
        asked = (
            ("service_ids[]", known.id),
            ("since", datetime.fromtimestamp(start, UTC).isoformat()),
            ("until", datetime.fromtimestamp(end, UTC).isoformat()),
            ("sort_by", "created_at:desc"),
            ("limit", str(MOST_LISTED)),
        )
        found = (_incident(each) for each in await self._listed("/incidents", "incidents", asked))
        return tuple(sorted((each for each in found if each), key=lambda each: each.at))

    async def resolutions(self, incidents: tuple[PastIncident, ...]) -> tuple[str | None, ...]:
        """The last note on each: what people say at the end is as a rule what it was."""
        return tuple(await asyncio.gather(*(self._resolution(each.id) for each in incidents)))

    async def _resolution(self, incident_id: str) -> str | None:
        try:
            return await self.resolution(incident_id)
        except SourceFailed:
            return None

    async def resolution(self, incident_id: str) -> str | None:
        """The last note that a person wrote on an incident; our own are left out. Raises as `notes`."""
        theirs = [each.text for each in await self.notes(incident_id) if not each.text.startswith(OURS)]
        return theirs[-1] if theirs else None

    async def _listed(self, path: str, name: str, params: tuple[tuple[str, str], ...] = ()) -> list[Part]:
        answer = await self.http.json(path, params or None)
        if not isinstance(answer, Mapping) or not isinstance(answer.get(name), list):
            raise SourceFailed("pagerduty", UNFAMILIAR)
        return parts(answer, name)


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise QueryRejected("pagerduty", f"has nothing with the id {text[:60]!r}.")
    return text


def _plain(name: str) -> str:
    return "".join(each for each in name.casefold() if each.isalnum())


def _on_call(found: Part) -> OnCall:
    user = part(found, "user")
    level = found.get("escalation_level")
    return OnCall(
        person=told(user, "summary") or told(user, "name") or "somebody without a name",
        level=level if isinstance(level, int) else 1,
        policy=told(part(found, "escalation_policy"), "summary"),
        schedule=told(part(found, "schedule"), "summary") or None,
        until=moment(found.get("end")),
        link=told(user, "html_url", 1000) or None,
        email=told(user, "email") or None,
    )


def _service(found: Part) -> PagerDutyService:
    return PagerDutyService(
        id=told(found, "id"),
        name=told(found, "name") or told(found, "summary"),
        policy_id=told(part(found, "escalation_policy"), "id") or None,
        link=told(found, "html_url", 1000) or None,
    )


def _incident(found: Part) -> PastIncident | None:
    at = moment(found.get("created_at"))
    if at is None or not told(found, "id"):
        return None
    return PastIncident(
        id=told(found, "id"),
        at=at,
        title=told(found, "title") or told(found, "summary"),
        link=told(found, "html_url", 1000) or None,
        status=told(found, "status"),
        service=told(part(found, "service"), "summary") or None,
    )


def _scored(incident: PastIncident, score: Any) -> PastIncident:
    is_number = isinstance(score, int | float) and not isinstance(score, bool)
    return PastIncident(**{**vars(incident), "score": float(score)}) if is_number else incident


def _note(found: Part, text: str, author: Part) -> Note | None:
    at = moment(found.get("created_at"))
    return None if at is None else Note(at, told(found, text, LONGEST_NOTE), told(author, "summary") or None)


def _in_order(notes: Any) -> tuple[Note, ...]:
    return tuple(sorted((each for each in notes if each), key=lambda each: each.at))
