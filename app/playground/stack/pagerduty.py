"""The PagerDuty-shaped system: who is on call, the incident, its past, and what is written to it.

Shapes follow https://developer.pagerduty.com/api-reference/ (REST v2) and its Events API v2.
Unlike the others it takes writes, and keeps them in `written`, so one can see an escalation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app.playground.stack.noise import name_of, salt
from app.playground.stack.pages import page, sentence, table
from app.playground.stack.serving import Declined, System
from app.playground.stack.world import World, moment, stamp

POLICY = "PESCAL0"
PEOPLE = (("PUMAYA0", "Maya Lindqvist"), ("PUJONAS", "Jonas Weber"), ("PUPRIYA", "Priya Nair"))
DAY = 86_400.0


@dataclass(frozen=True)
class Written:
    """A write that was accepted; `sender` is the From header."""

    method: str
    path: str
    body: Any
    sender: str | None


class PagerDuty:
    """Answers for `system`; `written` holds every accepted write, oldest first."""

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        self._system = system
        self.written: list[Written] = []
        self.begin()
        system.get("/oncalls", self._on_calls)
        system.get("/services", lambda _: _listed("services", self._services()))
        system.get("/services/{id}", self._service)
        system.get("/users/{id}", self._user)
        system.get("/escalation_policies/{id}", lambda _: {"escalation_policy": self._policy()})
        system.get("/incidents", lambda _: _listed("incidents", [self.incident()]))
        system.get("/incidents/{id}", lambda request: {"incident": self._find(request)}, self._page)
        system.get("/incidents/{id}/notes", self._notes_of)
        system.get("/incidents/{id}/log_entries", self._log_entries)
        system.get("/incidents/{id}/past_incidents", self._past)
        system.get("/incidents/{id}/related_incidents", self._related)
        system.take("POST", "/incidents/{id}/notes", self._take_note, 200)
        system.take("PUT", "/incidents/{id}", self._change, 200)
        system.take("POST", "/v2/enqueue", self._enqueue, 202)
        system.page("/", lambda _: page("PagerDuty", sentence("Open /incidents/<id>.")))

    def begin(self) -> None:
        """Forget what was done to the incident before this one."""
        self._status = "triggered"
        self._level = 1
        self._notes: list[dict[str, Any]] = []

    # --- reading -----------------------------------------------------------------------------------------

    def incident(self) -> dict[str, Any]:
        """The incident of the scenario as it is now."""
        scenario = self._world.story.scenario
        return self._incident(
            self._world.incident_id,
            scenario.paging.summary if scenario else "Nothing is wrong",
            self._world.paged_at,
            self._status,
            scenario.paging.service if scenario else next(iter(self._world.shop.services)),
        )

    def _incident(self, identity: str, title: str, at: float, status: str, service: str) -> dict[str, Any]:
        return {
            **self._reference("incident", identity, title),
            "type": "incident",
            "incident_number": salt(identity) % 9000 + 1000,
            "title": title,
            "incident_key": identity.lower(),
            "created_at": stamp(at),
            "status": status,
            "urgency": "high",
            "priority": {"id": "PPRIO01", "type": "priority", "summary": "P1", "name": "P1"},
            "service": self._reference("service", _service_id(service), service),
            "escalation_policy": self._reference("escalation_policy", POLICY, "Shop, all hours"),
            "assignments": [{"at": stamp(at), "assignee": self._person(self._level - 1)}],
            "teams": [],
        }

    def _reference(self, kind: str, identity: str, summary: str) -> dict[str, str]:
        plural = "escalation_policies" if kind == "escalation_policy" else f"{kind}s"
        address = f"{self._system.url}/{plural}/{identity}"
        return {
            "id": identity,
            "type": f"{kind}_reference",
            "summary": summary,
            "self": address,
            "html_url": address,
        }

    def _person(self, place: int) -> dict[str, str]:
        identity, name = PEOPLE[place % len(PEOPLE)]
        return self._reference("user", identity, name)

    def _before(self) -> list[dict[str, Any]]:
        scenario = self._world.story.scenario
        return [
            self._incident(
                "Q" + name_of(salt(scenario.name, each.days_ago), 13).upper(),
                each.title,
                self._world.story.onset - each.days_ago * DAY,
                "resolved",
                scenario.paging.service,
            )
            for each in (scenario.before if scenario else ())
            if scenario
        ]

    def _find(self, request: web.Request) -> dict[str, Any]:
        for incident in (self.incident(), *self._before()):
            if incident["id"] == request.match_info["id"]:
                return incident
        raise Declined(404, {"error": {"message": "Not Found", "code": 2100}})

    def _on_calls(self, request: web.Request) -> Any:
        policy = self._reference("escalation_policy", POLICY, "Shop, all hours")
        begun = self._world.now() // (7 * DAY) * 7 * DAY
        wanted = request.query.getall("escalation_policy_ids[]", [POLICY])
        included = request.query.getall("include[]", [])
        calls = [
            {
                "escalation_policy": policy,
                "escalation_level": level + 1,
                "schedule": self._reference("schedule", f"PSCHED{level}", f"Shop level {level + 1}"),
                "user": self._user_of(level) if "users" in included else self._person(level),
                "start": stamp(begun),
                "end": stamp(begun + 7 * DAY),
            }
            for level in range(2)
        ]
        return _listed("oncalls", calls if POLICY in wanted else [])

    def _services(self) -> list[dict[str, Any]]:
        return [
            {
                **self._reference("service", _service_id(name), name),
                "type": "service",
                "name": name,
                "status": "active",
                "escalation_policy": self._reference("escalation_policy", POLICY, "Shop, all hours"),
            }
            for name in self._world.shop.services
        ]

    def _service(self, request: web.Request) -> Any:
        for service in self._services():
            if service["id"] == request.match_info["id"]:
                return {"service": service}
        raise Declined(404, {"error": {"message": "Not Found", "code": 2100}})

    def _user(self, request: web.Request) -> Any:
        for place, (identity, _) in enumerate(PEOPLE):
            if identity == request.match_info["id"]:
                return {"user": self._user_of(place)}
        raise Declined(404, {"error": {"message": "Not Found", "code": 2100}})

    def _user_of(self, place: int) -> dict[str, str]:
        _, name = PEOPLE[place % len(PEOPLE)]
        email = f"{name.split()[0].lower()}@acme.example"
        return {**self._person(place), "type": "user", "name": name, "email": email}

    def _policy(self) -> dict[str, Any]:
        rules = [
            {"id": f"PRULE{level}", "escalation_delay_in_minutes": 15, "targets": [self._person(level)]}
            for level in range(2)
        ]
        name = "Shop, all hours"
        reference = self._reference("escalation_policy", POLICY, name)
        return {**reference, "type": "escalation_policy", "name": name, "escalation_rules": rules}

    def _notes_of(self, request: web.Request) -> Any:
        incident = self._find(request)
        if incident["status"] != "resolved":
            return {"notes": self._notes}
        scenario = self._world.story.scenario
        old = {each.title: each for each in (scenario.before if scenario else ())}
        days = round((self._world.story.onset - _since(incident)) / DAY)
        said = [each for each in (scenario.before if scenario else ()) if round(each.days_ago) == days]
        text = (said[0] if said else old[incident["title"]]).resolution
        return {"notes": [self._note(text, _since(incident) + 2400)]}

    def _note(self, content: str, at: float) -> dict[str, Any]:
        identity = f"PN{salt(content, at) % 99_999_999:08d}"
        return {"id": identity, "user": self._person(0), "content": content, "created_at": stamp(at)}

    def _log_entries(self, request: web.Request) -> Any:
        incident = self._find(request)
        at = _since(incident)
        said = (("trigger", "Triggered through the API", at), ("notify", "Notified Maya Lindqvist", at + 9))
        entries = [
            {
                "id": f"R{salt(incident['id'], kind) % 99_999_999:08d}",
                "type": f"{kind}_log_entry",
                "summary": text,
                "created_at": stamp(when),
                "incident": self._reference("incident", incident["id"], incident["title"]),
            }
            for kind, text, when in said
        ]
        return _listed("log_entries", entries)

    def _past(self, request: web.Request) -> Any:
        self._find(request)
        past = [
            {
                "incident": {k: each[k] for k in ("id", "created_at", "self", "title", "html_url")},
                "score": 46.8 - 7 * n,
            }
            for n, each in enumerate(self._before())
        ]
        return {"past_incidents": past, "total": len(past), "limit": 5}

    def _related(self, request: web.Request) -> Any:
        self._find(request)
        return {"related_incidents": []}

    def _page(self, request: web.Request) -> str:
        incident = self._find(request)
        rows = [(note["created_at"], note["content"]) for note in self._notes_of(request)["notes"]]
        text = (
            f"{incident['status']}, since {incident['created_at']}, service {incident['service']['summary']}"
        )
        return page(incident["title"], sentence(text), table(("at", "note"), rows))

    # --- writing -----------------------------------------------------------------------------------------

    def _keep(self, request: web.Request, body: Any) -> None:
        self.written.append(Written(request.method, request.path, body, request.headers.get("From")))

    def _take_note(self, request: web.Request, body: Any) -> Any:
        self._find(request)
        content = _inside(body, "note", "content")
        note = self._note(content, self._world.now())
        self._notes.append(note)
        self._keep(request, body)
        return {"note": note}

    def _change(self, request: web.Request, body: Any) -> Any:
        self._find(request)
        wanted = body.get("incident") if isinstance(body, dict) else None
        if not isinstance(wanted, dict):
            raise _invalid(["Incident can't be blank"])
        if wanted.get("status") not in (None, "acknowledged", "resolved"):
            raise _invalid(["Status is not included in the list"])
        self._status = wanted.get("status", self._status)
        self._level = int(wanted.get("escalation_level", self._level))
        self._keep(request, body)
        return {"incident": self.incident()}

    def _enqueue(self, request: web.Request, body: Any) -> Any:
        missing = [name for name in ("routing_key", "event_action") if not _has(body, name)]
        if _has(body, "event_action") and body["event_action"] == "trigger" and not _has(body, "payload"):
            missing.append("payload")
        if missing:
            errors = [f"'{name}' is missing or blank" for name in missing]
            raise Declined(
                400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            )
        self._keep(request, body)
        key = body.get("dedup_key") or f"{salt(len(self.written)):016x}"
        return {"status": "success", "message": "Event processed", "dedup_key": key}


def _service_id(name: str) -> str:
    return "P" + name_of(salt("service", name), 6).upper()


def _since(incident: dict[str, Any]) -> float:
    return moment(incident["created_at"])


def _listed(name: str, items: Sequence[Any]) -> dict[str, Any]:
    return {name: list(items), "limit": 25, "offset": 0, "more": False, "total": None}


def _has(body: Any, name: str) -> bool:
    return isinstance(body, dict) and bool(body.get(name))


def _inside(body: Any, *path: str) -> str:
    for part in path:
        body = body.get(part) if isinstance(body, dict) else None
    if not isinstance(body, str) or not body:
        raise _invalid([f"{path[-1].title()} can't be blank"])
    return body


def _invalid(errors: list[str]) -> Declined:
    body = {"error": {"message": "Invalid Input Provided", "code": 2001, "errors": errors}}
    return Declined(400, body)
