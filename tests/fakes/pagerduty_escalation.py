"""A PagerDuty on the wire: incidents, notes, on-calls and events, shaped after its documentation.

REST: https://developer.pagerduty.com/api-reference/ (get an incident, update an incident, notes, on-calls).
Events: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.fakes.wire import CutConnection, Request, Response, WireServer, json_response

TOKEN = "pd-token-of-tests"
ROUTING_KEY = "r" * 32


@dataclass
class PagerDutyWorld:
    """What the account holds. `levels` are (level, user id); `needs_from` as with an account's token."""

    incident_id: str = "PT4KHLK"
    status: str = "triggered"
    policy: str = "PPOLICY"
    level: int = 1
    levels: list[tuple[int, str]] = field(default_factory=lambda: [(1, "PKIM"), (2, "PLEE"), (3, "PBOSS")])
    notes: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    paged: list[tuple[str, int]] = field(default_factory=list)
    needs_from: bool = True
    reads_only: bool = False


class PagerDutyWire:
    """Serves both APIs. `failures` are taken one a request: a status, "cut" (before anything happens) or
    "cut after" (it happens, and nobody hears of it); `fails_on` limits them to a method and path prefix."""

    def __init__(self, world: PagerDutyWorld | None = None) -> None:
        self.world = world or PagerDutyWorld()
        self.requests: list[Request] = []
        self.failures: list[int | str] = []
        self.fails_on = ""
        self._server = WireServer(self.handle)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def writes(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.requests if each.method != "GET"]

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        failure = None
        if self.failures and f"{request.method} {request.path}".startswith(self.fails_on):
            failure = self.failures.pop(0)
        if failure == "cut":
            raise CutConnection
        if isinstance(failure, int):
            return refused(failure, "Try again later")
        response = self.enqueue(request) if request.path == "/v2/enqueue" else self.rest(request)
        if failure == "cut after":
            raise CutConnection
        return response

    def enqueue(self, request: Request) -> Response:
        event = request.json()
        if event.get("routing_key") != ROUTING_KEY:
            told = ["Length of 'routing_key' is incorrect (should be 32 characters)"]
            return json_response(
                400, {"status": "invalid event", "message": "Event object is invalid", "errors": told}
            )
        payload = event.get("payload", {})
        if event["event_action"] == "trigger":
            assert payload["severity"] in ("critical", "error", "warning", "info")
            assert payload["summary"]
            assert payload["source"]
            assert len(payload["summary"]) <= 1024
        assert len(event["dedup_key"]) <= 255
        self.world.events.append(event)
        return json_response(
            202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        )

    def rest(self, request: Request) -> Response:
        world = self.world
        if request.headers.get("authorization") != f"Token token={TOKEN}":
            return json_response(401, {"error": {"message": "Unauthorized", "code": 2006}})
        if request.headers.get("accept") != "application/vnd.pagerduty+json;version=2":
            return refused(400, "Unsupported version")
        if request.method != "GET" and world.reads_only:
            return refused(403, "Access Denied")
        if request.method != "GET" and world.needs_from and "@" not in request.headers.get("from", ""):
            return refused(400, "Invalid Input Provided", "Requester User Not Found")
        own = f"/incidents/{world.incident_id}"
        answers = {
            f"GET {own}": self.incident,
            f"PUT {own}": self.update,
            f"GET {own}/notes": self.list_notes,
            f"POST {own}/notes": self.add_note,
            "GET /oncalls": self.oncalls,
        }
        answer = answers.get(f"{request.method} {request.path}")
        return answer(request) if answer else refused(404, "Not Found")

    def incident(self, request: Request) -> Response:
        world = self.world
        assignees = [user for level, user in world.levels if level == world.level]
        return json_response(
            200,
            {
                "incident": {
                    "id": world.incident_id,
                    "type": "incident",
                    "status": world.status,
                    "html_url": f"https://acme.pagerduty.com/incidents/{world.incident_id}",
                    "escalation_policy": {"id": world.policy, "type": "escalation_policy_reference"},
                    "assignments": [
                        {"assignee": {"id": user, "type": "user_reference"}} for user in assignees
                    ],
                }
            },
        )

    def update(self, request: Request) -> Response:
        change = request.json()["incident"]
        assert change.pop("type") == "incident"
        world = self.world
        world.status = change.get("status", world.status)
        if "escalation_level" in change or "escalation_policy" in change:
            world.policy = change.get("escalation_policy", {}).get("id", world.policy)
            world.level = change.get("escalation_level", 1)
            world.paged.append((world.policy, world.level))
        return self.incident(request)

    def list_notes(self, request: Request) -> Response:
        return json_response(200, {"notes": [{"id": "PN", "content": each} for each in self.world.notes]})

    def add_note(self, request: Request) -> Response:
        self.world.notes.append(request.json()["note"]["content"])
        return json_response(201, {"note": {"id": "PN", "content": self.world.notes[-1]}})

    def oncalls(self, request: Request) -> Response:
        return json_response(
            200,
            {
                "oncalls": [
                    {"escalation_level": level, "user": {"id": user, "type": "user_reference"}}
                    for level, user in self.world.levels
                ],
                "more": False,
            },
        )


def refused(status: int, message: str, *errors: str) -> Response:
    return json_response(status, {"error": {"message": message, "code": 2001, "errors": list(errors)}})
