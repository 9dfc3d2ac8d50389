"""Who pages in the playground: begins a scenario in the simulated stack, and tells the agent of it as the
real systems would, over its own webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import aiohttp
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import AgentError
from app.playground.slack.page_api import from_elsewhere
from app.playground.slack.records import Json
from app.playground.stack import SimulatedStack

log = structlog.get_logger(__name__)

Source = Literal["alertmanager", "pagerduty"]
State = Literal["firing", "resolved"]


class AgentAway(AgentError):
    """Nobody takes the page."""

    code = "playground_agent_away"
    status = 503


class PageRefused(AgentError):
    """The agent did not take it."""

    code = "playground_page_refused"
    status = 502


class NothingGoesOn(AgentError):
    """What is not going on cannot be over."""

    code = "playground_nothing_goes_on"
    status = 409


@dataclass(frozen=True)
class Tale:
    """A scenario as the person who is paged sees it: what hurts, never why."""

    title: str
    tells: str
    source: Source = "alertmanager"


TALES = {
    "bad-deploy": Tale(
        "Carts that cannot be paid", "Four payments in ten fail. Two services were deployed today."
    ),
    "pool-exhausted": Tale(
        "Paying takes long, then fails",
        "Half of the payments fail. inventory was deployed a quarter of an hour ago.",
    ),
    "traffic-surge": Tale(
        "The shop has become slow", "checkout takes seconds to answer, and was deployed minutes ago."
    ),
    "expired-certificate": Tale(
        "Nobody can pay at all",
        "Nearly every payment fails, from one second to the next. PagerDuty pages.",
        source="pagerduty",
    ),
}


@dataclass(frozen=True)
class Page:
    """A scenario that is going on; `onset` is when its trouble began, in seconds since the epoch."""

    scenario: str
    onset: float


class Taken(TypedDict, total=False):
    """What the agent answers to a page it has stored."""

    status: str
    investigation_id: str
    reason: str


class Pager:
    """`page` and `over` for programs, `routes` for the page in the browser.

    `door` is the address of the agent's webhooks, and raises `AgentAway` when there is none. What is going on
    is kept in `file`: an incident nobody ended would swallow the next page of its kind, for a second alert of
    an open incident joins it.
    """

    def __init__(
        self,
        stack: SimulatedStack,
        *,
        door: Callable[[], str],
        channel: str,
        file: Path,
        now: Callable[[], float],
    ) -> None:
        self._stack, self._door, self._channel, self._file, self._now = stack, door, channel, file, now
        self._token, self._secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._page = self._recall()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of an agent that is to believe these pages."""
        return {"ALERT_WEBHOOK_TOKEN": self._token, "PAGERDUTY_WEBHOOK_SECRET": self._secret}

    @property
    def going_on(self) -> Page | None:
        return self._page

    async def page(self, scenario: str) -> Taken:
        """Begin a scenario and page the agent; whatever went on before is over first.

        Raises:
            NoSuchScenario: names those there are.
            AgentAway, PageRefused: the agent did not take it.
        """
        if self._page:
            await self.over()
        self._stack.begin(scenario)
        taken = await self._send(scenario, "firing")
        self._remember(Page(scenario, self._stack.onset))
        return taken

    async def over(self) -> Taken:
        """Say that the incident is resolved. The stack goes on showing it, so its links stay worth a click.

        Raises:
            NothingGoesOn: nothing was paged that is not over.
            AgentAway, PageRefused: the agent did not take it.
        """
        if self._page is None:
            raise NothingGoesOn("Nothing is going on that could be over; page somebody first.")
        taken = await self._send(self._page.scenario, "resolved")
        self._remember(None)
        return taken

    # -- telling the agent -------------------------------------------------------------------------------

    async def _send(self, scenario: str, state: State) -> Taken:
        source = TALES[scenario].source
        body = json.dumps(self._stack.alert(source, state)).encode()
        address = f"{self._door()}/webhooks/{source}"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
                session.post(address, data=body, headers=self._proof(source, body)) as response,
            ):
                said = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AgentAway(f"The agent does not answer ({type(error).__name__}); page again.") from error
        if response.status != 202:
            raise PageRefused(f"The agent answered {response.status} to the page: {said[:300]}")
        taken: Taken = json.loads(said)
        log.info("paged", scenario=scenario, state=state, source=source, **taken)
        return taken

    def _proof(self, source: Source, body: bytes) -> dict[str, str]:
        """What makes a webhook of this source authentic, as its vendor does it."""
        kind = {"Content-Type": "application/json"}
        if source == "alertmanager":
            return kind | {"Authorization": f"Bearer {self._token}"}
        signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        return kind | {"X-PagerDuty-Signature": f"v1={signature}"}

    # -- over a restart ----------------------------------------------------------------------------------

    def _recall(self) -> Page | None:
        """Take the story up where it was; a file that cannot be read is as good as none."""
        try:
            page = Page(**json.loads(self._file.read_text(encoding="utf-8")))
            self._stack.begin(page.scenario, age=self._now() - page.onset)
        except (OSError, ValueError, TypeError, AgentError):
            return None
        return page

    def _remember(self, page: Page | None) -> None:
        self._page = page
        if page is None:
            self._file.unlink(missing_ok=True)
        else:
            self._file.write_text(json.dumps(vars(page)), encoding="utf-8")

    # -- for the page in the browser ---------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            Route("/playground/pager", self._told),
            self._action("page", lambda body: self.page(str(body["scenario"]))),
            self._action("over", lambda _: self.over()),
        ]

    def _action(self, name: str, act: Callable[[Json], Awaitable[Taken]]) -> Route:
        async def answer(request: Request) -> Response:
            if from_elsewhere(request):
                return JSONResponse({"ok": False, "error": "cross_site"}, 403)
            try:
                taken = await act(await request.json())
            except AgentError as error:
                return JSONResponse({"ok": False, "error": error.sentence}, error.status)
            except (KeyError, ValueError, TypeError) as fault:
                return JSONResponse({"ok": False, "error": f"bad request: {fault}"}, 400)
            return JSONResponse({"ok": True, "taken": taken, **self._state()})

        return Route(f"/playground/{name}", answer, methods=["POST"], name=name)

    async def _told(self, _: Request) -> Response:
        tales = [{"name": name, "title": tale.title, "tells": tale.tells} for name, tale in TALES.items()]
        return JSONResponse({"ok": True, "tales": tales, **self._state()})

    def _state(self) -> dict[str, Any]:
        page = self._page
        return {
            "channel": self._channel,
            "going_on": {"name": page.scenario, "title": TALES[page.scenario].title} if page else None,
        }
