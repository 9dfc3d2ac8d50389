"""PagerDuty's REST API on the wire, as far as it is read: developer.pagerduty.com/api-reference/."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from app.settings import Endpoint
from tests.fakes.sources import Answer, Asked, SourceServer


def on_call(
    person: str, level: int, policy: str = "Shop", until: str | None = "2026-11-23T08:00:00Z"
) -> dict[str, Any]:
    return {
        "escalation_policy": {"id": "PPOLICY", "summary": policy},
        "escalation_level": level,
        "schedule": {"summary": f"Schedule {level}"} if until else None,
        "user": {
            "id": "PUSER1",
            "summary": person,
            "html_url": "https://acme.pagerduty.example/users/PUSER1",
        },
        "start": None,
        "end": until,
    }


def _email(on_call: dict[str, Any]) -> str:
    return f"{on_call['user']['summary'].lower()}@acme.example"


def incident(
    id: str, at: str, title: str, status: str = "resolved", service: str = "checkout"
) -> dict[str, Any]:
    return {
        "id": id,
        "created_at": at,
        "title": title,
        "status": status,
        "html_url": f"https://acme.pagerduty.example/incidents/{id}",
        "service": {"id": "PSERV01", "summary": service},
    }


class FakePagerDuty(SourceServer):
    """`notes` by incident id; every other list as it is answered."""

    def __init__(self) -> None:
        super().__init__(
            {"/oncalls": self._on_calls, "/services": self._services, "/incidents": self._incidents}
        )
        self.on_calls: list[dict[str, Any]] = []
        self.services = [
            {"id": "PSERV01", "name": "Checkout", "escalation_policy": {"id": "PPOLICY"}},
            {"id": "PSERV02", "name": "Checkout EU", "escalation_policy": {"id": "POTHER1"}},
        ]
        self.incidents: list[dict[str, Any]] = []
        self.notes: dict[str, list[dict[str, Any]]] = {}
        self.past: list[dict[str, Any]] = []
        self.related: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.url, token=SecretStr("k3y"))

    def _on_calls(self, asked: Asked) -> Answer:
        wanted = asked.params.get("escalation_policy_ids[]", "PPOLICY")
        found = self.on_calls if wanted == "PPOLICY" else []
        if asked.params.get("include[]") == "users":
            found = [each | {"user": each["user"] | {"email": _email(each)}} for each in found]
        return Answer({"oncalls": found, "more": False})

    def _services(self, asked: Asked) -> Answer:
        query = asked.params.get("query", "").lower()
        return Answer({"services": [each for each in self.services if query in str(each["name"]).lower()]})

    def _incidents(self, asked: Asked) -> Answer:
        return Answer({"incidents": self.incidents, "more": False})

    def found(self, asked: Asked) -> Answer | None:
        _, _, id, *what = asked.raw_path.split("/")
        known = {each["id"]: each for each in self.incidents}
        match what:
            case []:
                return Answer({"incident": known[id]}) if id in known else None
            case ["notes"]:
                return Answer({"notes": self.notes.get(id, [])})
            case ["past_incidents"]:
                return Answer({"past_incidents": self.past, "total": len(self.past)})
            case ["related_incidents"]:
                return Answer({"related_incidents": self.related})
            case ["log_entries"]:
                return Answer({"log_entries": self.log})
        return None
