"""The console's routes, below `/console`. Every page is read, rendered, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import structlog
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from jinja2 import Environment
from pydantic import AfterValidator
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException

from app.conversations.showing import NoSuchSession
from app.errors import AgentError
from app.investigations.accuracy import accuracy
from app.web.console import charts, repository
from app.web.console.access import COOKIE, SIGNED_IN_SECONDS, Access, NotSignedIn, Visitor
from app.web.console.export import MEDIA, Format, exported
from app.web.console.headers import SecurityHeaders
from app.web.console.models import AuditFilter
from app.web.console.rendering import MEDIA as MEDIA_OF
from app.web.console.rendering import STATIC, environment, href
from app.web.floods import TooManyFailures
from app.web.refusing import BadRequest, Refusal
from app.web.webhooks.body import read_body

log = structlog.get_logger(__name__)

BASE = "/console"
EXPORTS_AT_ONCE = 2
PERIODS = (7, 30, 90, 365)
SEVERITIES = ("P1", "P2", "P3", "P4", "P5")
FROM_ELSEWHERE = ("cross-site", "same-site")

Link = Callable[[str, str], str | None]
Clock = Callable[[], datetime]
Id = Annotated[int, Path(ge=1, lt=2**63)]
Before = Annotated[str | None, Query(max_length=100)]
Text = Annotated[str, Query(max_length=300), AfterValidator(lambda given: given.replace("\0", ""))]


class ExportsBusy(AgentError):
    """As many downloads run as may at once."""

    code = "exports_busy"
    status = 503


class FromElsewhere(AgentError):
    """A form that another site sends."""

    code = "from_elsewhere"
    status = 403


def add_console(app: FastAPI, console: FastAPI) -> None:
    """Below `/console` of an app; without this call the route is not there."""

    @app.get(BASE, include_in_schema=False)
    async def begin() -> Response:
        return RedirectResponse(f"{BASE}/", 307)

    app.mount(BASE, console)


def utc_now() -> datetime:
    return datetime.now(UTC)


def console_app(
    engine: AsyncEngine, access: Access, *, link: Link = lambda channel, ts: None, clock: Clock = utc_now
) -> FastAPI:
    """The console as an app to be mounted. `engine` is one of its own, which may only read: no turn waits
    for a connection because somebody looks. `link` is the address of a thread by its channel and ts."""
    app = FastAPI(title="SRE Agent console", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    pages = _Pages(environment(), access, link, clock)
    pages.answer_errors(app)
    _add_door(app, pages, access)
    _add_pages(app, pages, engine)
    _add_audit(app, pages, engine)
    return app


class _Pages:
    """Renders a template with what all of them need."""

    def __init__(self, templates: Environment, access: Access, link: Link, clock: Clock) -> None:
        self._templates = templates
        self._access = access
        self._link = link
        self.clock = clock

    async def visitor(self, request: Request) -> Visitor:
        """For the routes to depend on. Raises what says why nobody is let in."""
        visitor = self._access.visitor(request)
        request.state.visitor = visitor
        return visitor

    def show(
        self, request: Request, template: str, status: int = 200, *, place: str = "", **values: Any
    ) -> HTMLResponse:
        """`place` is the entry of the menu that is here."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        said = self._templates.get_template(template).render(
            visitor=visitor,
            takes_token=self._access.takes_token,
            place=place,
            now=self.clock(),
            thread=lambda channel, ts: href(self._link(channel, ts)) if channel and ts else None,
            **values,
        )
        return HTMLResponse(said, status)

    def answer_errors(self, app: FastAPI) -> None:
        @app.exception_handler(AgentError)
        async def refuse(request: Request, error: AgentError) -> Response:
            if not isinstance(error, NotSignedIn):
                log.warning("console_refused", path=request.url.path, status=error.status, code=error.code)
            return self._refused(request, error)

        @app.exception_handler(RequestValidationError)
        async def invalid(request: Request, error: RequestValidationError) -> Response:
            first = error.errors()[0]
            where = " ".join(str(part) for part in first["loc"][1:])
            return self._refused(request, BadRequest(f"{where}: {first['msg']}."))

        @app.exception_handler(HTTPException)
        async def unknown(request: Request, error: HTTPException) -> Response:
            refusal = AgentError("There is no such page.")
            refusal.code, refusal.status = "not_found", error.status_code
            return self._refused(request, refusal)

    def _refused(self, request: Request, error: AgentError) -> Response:
        headers = {"Retry-After": str(error.seconds)} if isinstance(error, TooManyFailures) else {}
        if "text/html" not in request.headers.get("accept", ""):
            said = Refusal(error=error.code, reason=error.sentence)
            return JSONResponse(said.model_dump(), error.status, headers)
        if error.status in (401, 429):
            answer = self._door(request, error)
        else:
            answer = self.show(request, "error.html", error.status, error=error)
        answer.headers.update(headers)
        return answer

    def _door(self, request: Request, error: AgentError) -> HTMLResponse:
        comes_by_link = (
            request.headers.get("sec-fetch-site") in FROM_ELSEWHERE
            and request.headers.get("sec-fetch-mode") == "navigate"
        )
        if comes_by_link and request.method == "GET" and isinstance(error, NotSignedIn):
            # A strict cookie is not sent along a link of another site, such as Slack: asked for by our own
            # page, it is.
            return self.show(request, "again.html")
        return self.sign_in(request, error)

    def sign_in(self, request: Request, error: AgentError | None) -> HTMLResponse:
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = str(getattr(request.state, "wanted", asked))
        told = error if not isinstance(error, NotSignedIn) or not self._access.takes_token else None
        return self.show(request, "login.html", error.status if error else 200, error=told, wanted=wanted)


def _add_door(app: FastAPI, pages: _Pages, access: Access) -> None:
    @app.get("/login")
    async def door(request: Request) -> Response:
        request.state.wanted = f"{BASE}/"
        return pages.sign_in(request, None)

    @app.post("/login")
    async def sign_in(request: Request) -> Response:
        form = await _form(request)
        request.state.wanted = wanted = _own(form.get("wanted", ""))
        cookie = access.sign_in(request, form.get("token", ""))
        log.info("console_signed_in", by="token")
        answer = RedirectResponse(wanted, 303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=SIGNED_IN_SECONDS,
            path=BASE,
            secure=access.is_secure(request),
            httponly=True,
            samesite="strict",
        )
        return answer

    @app.post("/logout")
    async def sign_out(request: Request) -> Response:
        await _form(request)
        answer = RedirectResponse(f"{BASE}/login", 303)
        answer.delete_cookie(
            COOKIE, path=BASE, secure=access.is_secure(request), httponly=True, samesite="strict"
        )
        return answer

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise repository.NotFound("There is no such file.")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(STATIC[name], media_type=MEDIA_OF["." + name.rpartition(".")[2]], headers=headers)


async def _form(request: Request) -> dict[str, str]:
    """Of our own page: another site's form neither signs anybody in nor out."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FromElsewhere("This form was sent by another site; open the console itself.")
    body = (await read_body(request)).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body, max_num_fields=10).items()}


def _own(wanted: str) -> str:
    """Where to go after signing in: a page of the console, whatever a link says."""
    inside = wanted.startswith(f"{BASE}/") and not any(each in wanted for each in "\\\r\n")
    return wanted if inside and "//" not in wanted.partition("?")[0] else f"{BASE}/"


def _add_pages(app: FastAPI, pages: _Pages, engine: AsyncEngine) -> None:
    who = [Depends(pages.visitor)]

    async def live(request: Request, template: str) -> Response:
        async with repository.reading(engine) as connection:
            found = await repository.live(connection, pages.clock())
        return pages.show(request, template, place="live", live=found)

    @app.get("/", dependencies=who)
    async def whole(request: Request) -> Response:
        return await live(request, "live.html")

    @app.get("/live", dependencies=who)
    async def part(request: Request) -> Response:
        """What the page replaces every few seconds."""
        return await live(request, "live_part.html")

    @app.get("/sessions", dependencies=who)
    async def sessions(
        request: Request, before: Before = None, service: Text = "", find: Text = ""
    ) -> Response:
        problem = None
        async with repository.reading(engine) as connection:
            if find.strip():
                try:
                    found = await repository.find_session(connection, find)
                    return RedirectResponse(f"{BASE}/sessions/{found}", 303)
                except NoSuchSession as error:
                    problem = error
            page = await repository.sessions(connection, before=before, service=service.strip() or None)
        return pages.show(
            request,
            "sessions.html",
            404 if problem else 200,
            place="sessions",
            page=page,
            service=service,
            find=find,
            problem=problem,
            before=before,
            older=_address("sessions", page.older, service=service),
        )

    @app.get("/sessions/{session_id}", dependencies=who)
    async def session(request: Request, session_id: Id, before: Before = None) -> Response:
        async with repository.reading(engine) as connection:
            found = await repository.session(connection, session_id, before=before)
        older = _address(f"sessions/{session_id}", found.turns.older)
        return pages.show(
            request, "session.html", place="sessions", session=found, older=older, before=before
        )

    @app.get("/calls/{call_id}", dependencies=who)
    async def call(request: Request, call_id: Id) -> Response:
        async with repository.reading(engine) as connection:
            found = await repository.kept_call(connection, call_id)
        return pages.show(request, "call.html", place="sessions", call=found)

    @app.get("/artifacts/{artifact_id}", dependencies=who)
    async def artifact(request: Request, artifact_id: Id) -> Response:
        async with repository.reading(engine) as connection:
            found = await repository.artifact(connection, artifact_id)
        return pages.show(request, "artifact.html", place="sessions", artifact=found)

    @app.get("/investigations", dependencies=who)
    async def investigations(
        request: Request, before: Before = None, service: Text = "", severity: Text = ""
    ) -> Response:
        service, severity = service.strip(), severity if severity in SEVERITIES else ""
        async with repository.reading(engine) as connection:
            page = await repository.investigations(
                connection, before=before, service=service or None, severity=severity or None
            )
        return pages.show(
            request,
            "investigations.html",
            place="investigations",
            page=page,
            severities=SEVERITIES,
            before=before,
            service=service,
            severity=severity,
            older=_address("investigations", page.older, service=service, severity=severity),
        )

    @app.get("/investigations/{investigation_id}", dependencies=who)
    async def investigation(request: Request, investigation_id: UUID) -> Response:
        async with repository.reading(engine) as connection:
            found = await repository.investigation(connection, investigation_id)
        return pages.show(request, "investigation.html", place="investigations", found=found)

    @app.get("/figures", dependencies=who)
    async def figures(request: Request, days: int = 90) -> Response:
        days, now = days if days in PERIODS else 90, pages.clock()
        async with repository.reading(engine) as connection:
            found = await repository.figures(connection, now=now, days=days)
        drawn = (
            charts.accuracy_by_week(found.judged, now=now, days=days),
            charts.calibration(found.judged),
            charts.spend(found.spent, now=now, days=days),
        )
        return pages.show(
            request,
            "figures.html",
            place="figures",
            told=accuracy(found.judged),
            charts=drawn,
            frame=charts.FRAME,
            used=charts.by_model(found.spent),
            days=days,
            periods=PERIODS,
        )

    @app.get("/knowledge", dependencies=who)
    async def knowledge(request: Request, before: Before = None) -> Response:
        async with repository.reading(engine) as connection:
            page = await repository.revisions(connection, before=before)
        older = _address("knowledge", page.older)
        return pages.show(request, "knowledge.html", place="knowledge", page=page, older=older, before=before)


def _add_audit(app: FastAPI, pages: _Pages, engine: AsyncEngine) -> None:
    exports = asyncio.Semaphore(EXPORTS_AT_ONCE)

    @app.get("/audit", dependencies=[Depends(pages.visitor)])
    async def audit(
        request: Request, wanted: Annotated[AuditFilter, Depends(_wanted)], before: Before = None
    ) -> Response:
        async with repository.reading(engine) as connection:
            page = await repository.audit(connection, wanted, before=before)
            actions = await repository.actions(connection)
        asked = _query(wanted)
        return pages.show(
            request,
            "audit.html",
            place="audit",
            page=page,
            wanted=wanted,
            actions=actions,
            before=before,
            older=_address("audit", page.older, **asked),
            exports={form: _address(f"audit.{form}", "", **asked) for form in MEDIA},
        )

    @app.get("/audit.{form}")
    async def export(
        form: Format,
        wanted: Annotated[AuditFilter, Depends(_wanted)],
        visitor: Visitor = Depends(pages.visitor),
    ) -> Response:
        if exports.locked():
            raise ExportsBusy(f"{EXPORTS_AT_ONCE} downloads are under way; try again when one has ended.")
        log.info("console_export", by=visitor.name, form=form)

        async def lines() -> AsyncIterator[bytes]:
            async with exports:
                async for part in exported(engine, wanted, form):
                    yield part

        name = f"sre-agent-audit-{pages.clock():%Y%m%dT%H%M%SZ}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(lines(), media_type=MEDIA[form], headers=headers)


async def _wanted(
    *,
    user: Text = "",
    service: Text = "",
    action: Text = "",
    since: Text = "",
    until: Text = "",
    thread: Text = "",
    text: Text = "",
) -> AuditFilter:
    """`thread` is CHANNEL:THREAD_TS."""
    channel, _, ts = thread.strip().rpartition(":")
    return AuditFilter(
        user=user.strip() or None,
        service=service.strip() or None,
        action=action.strip() or None,
        since=_time("since", since),
        until=_time("until", until),
        channel=channel or None,
        thread=ts or None,
        text=text.strip() or None,
    )


def _time(name: str, given: str) -> datetime | None:
    """ISO 8601; without a zone it is UTC."""
    if not given.strip():
        return None
    try:
        at = datetime.fromisoformat(given.strip())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name}: write a time as 2026-11-29T05:00, in UTC.") from None


def _query(wanted: AuditFilter) -> dict[str, str]:
    """The filter as the address has it."""
    values = {name: value for name, value in asdict(wanted).items() if value is not None}
    if thread := values.pop("thread", None):
        values["thread"] = ":".join(filter(None, (values.pop("channel", None), thread)))
    return {
        name: f"{value:%Y-%m-%dT%H:%M:%S}" if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _address(path: str, before: str | None, **wanted: str) -> str | None:
    """Of a page or the part of it behind a cursor; None when there is no more."""
    if before is None:
        return None
    asked = {name: value for name, value in {**wanted, "before": before}.items() if value}
    return f"{BASE}/{path}" + (f"?{urlencode(asked)}" if asked else "")
