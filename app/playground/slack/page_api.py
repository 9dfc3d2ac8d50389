"""What the page in the browser talks to: `/playground/…` as JSON, and one stream of live updates."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.playground.slack import shapes
from app.playground.slack.delivery import Dispatcher
from app.playground.slack.desk import Desk
from app.playground.slack.interactions import view_json
from app.playground.slack.persons import Persons
from app.playground.slack.records import Json, Message, Session, Status, View
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.workspace import Change

Handle = Callable[[Json], Any]


class PageApi:
    """Routes for the page. There is no sign-in: the page says which person it acts for."""

    def __init__(self, desk: Desk, persons: Persons, dispatcher: Dispatcher, hints: Sequence[Json]) -> None:
        self._desk = desk
        self._workspace = desk.workspace
        self._persons = persons
        self._dispatcher = dispatcher
        self._hints = list(hints)
        self._screens: set[asyncio.Queue[Json | None]] = set()
        self._workspace.on_change.append(self._show)

    def routes(self) -> list[Route]:
        return [
            Route("/playground/state", self._state),
            Route("/playground/live", self._live),
            Route("/playground/channels/{channel}", self._channel),
            Route("/playground/files", self._upload, methods=["POST"]),
            Route("/playground/files/{file}/{name:path}", self._file),
            self._action("say", self._say),
            self._action("edit", self._edit),
            self._action("delete", self._delete),
            self._action("react", self._react),
            self._action("click", self._click),
            self._action("stop", self._stop),
            self._action("submit", self._submit),
            self._action("dismiss", self._dismiss),
        ]

    def _action(self, name: str, handle: Handle) -> Route:
        async def answer(request: Request) -> Response:
            if from_elsewhere(request):
                return JSONResponse({"ok": False, "error": "cross_site"}, 403)
            try:
                made = handle(await request.json())
                body = await made if isinstance(made, Awaitable) else made
            except SlackRefusal as refusal:
                return JSONResponse({"ok": False, "error": refusal.error}, 400)
            except (KeyError, ValueError, TypeError) as fault:
                return JSONResponse({"ok": False, "error": f"bad request: {fault}"}, 400)
            return JSONResponse({"ok": True} | (body or {}))

        return Route(f"/playground/{name}", answer, methods=["POST"], name=name)

    # --- reading -------------------------------------------------------------------------------------------

    async def _state(self, _: Request) -> Response:
        """Everything the page needs at its start but the messages."""
        workspace = self._workspace
        people = [user.as_json(workspace.team.id) for user in workspace.users.values()]
        channels = [
            channel.as_json(workspace.agent.id) | {"members": sorted(channel.members)}
            for channel in workspace.channels.values()
        ]
        return JSONResponse(
            {
                "team": workspace.team.as_json(),
                "agent": workspace.agent.id,
                "users": people,
                "usergroups": [group.as_json(workspace.team.id) for group in workspace.groups.values()],
                "channels": channels,
                "sessions": [self._shown("session", each) for each in workspace.sessions.values()],
                "statuses": [self._shown("status", each) for each in workspace.statuses.values()],
                "hints": self._hints,
            }
        )

    async def _channel(self, request: Request) -> Response:
        channel = self._workspace.channels.get(request.path_params["channel"])
        if channel is None:
            return JSONResponse({"ok": False, "error": "channel_not_found"}, 404)
        messages = sorted(channel.messages.values(), key=lambda message: message.ts)
        messages += [each for each in self._workspace.ephemeral if each.channel == channel.id]
        return JSONResponse({"ok": True, "messages": [self._message(each) for each in messages]})

    async def _file(self, request: Request) -> Response:
        try:
            item = self._desk.files.find(request.path_params["file"])
        except SlackRefusal:
            return JSONResponse({"ok": False, "error": "file_not_found"}, 404)
        # A file is shown from the page's own origin: nothing in it may run there.
        headers = {
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        }
        if "download" in request.query_params:
            headers["Content-Disposition"] = "attachment"
        return Response(item.content, media_type=item.mimetype, headers=headers)

    async def _upload(self, request: Request) -> Response:
        name, user = request.query_params.get("name"), request.query_params.get("user", "")
        if from_elsewhere(request) or not name or user not in self._workspace.users:
            return JSONResponse({"ok": False, "error": "invalid_arguments"}, 400)
        item = self._desk.files.by_person(user, name, await request.body())
        return JSONResponse({"ok": True, "file": shapes.file(self._workspace, item)})

    async def _live(self, _: Request) -> Response:
        return StreamingResponse(
            self._updates(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _updates(self) -> AsyncIterator[str]:
        screen: asyncio.Queue[Json | None] = asyncio.Queue()
        self._screens.add(screen)
        try:
            yield "retry: 500\n: here\n\n"
            while (update := await screen.get()) is not None:
                yield f"data: {json.dumps(update)}\n\n"
        finally:
            self._screens.discard(screen)

    def close(self) -> None:
        """End every page's stream."""
        for screen in list(self._screens):
            screen.put_nowait(None)

    def _show(self, change: Change) -> None:
        if not self._screens or change.kind not in SHOWN:
            return
        body = self._shown(change.kind, change.item)
        for screen in self._screens:
            screen.put_nowait({"kind": change.kind, "channel": change.channel, "item": body})

    def _shown(self, kind: str, item: Any) -> Json:
        if isinstance(item, Message):
            return {"ts": item.ts} if kind == "removed" else self._message(item)
        if isinstance(item, View):
            return view_json(self._workspace, item) | {
                "user": item.user,
                "open": item.id in self._workspace.views,
            }
        if isinstance(item, Session | Status):
            return dict(vars(item))
        return {}

    def _message(self, message: Message) -> Json:
        return shapes.message(self._workspace, message) | {
            "channel": message.channel,
            "streaming": message.streaming,
            "visible_to": message.visible_to,
            "username": message.username,
        }

    # --- acting --------------------------------------------------------------------------------------------

    def _say(self, body: Json) -> Json:
        message = self._persons.say(
            body["user"],
            body["channel"],
            body["text"],
            body.get("thread_ts"),
            file_ids=body.get("files") or (),
        )
        return {"ts": message.ts}

    def _edit(self, body: Json) -> None:
        self._persons.edit(body["user"], body["channel"], body["ts"], body["text"])

    def _delete(self, body: Json) -> None:
        self._persons.delete(body["user"], body["channel"], body["ts"])

    def _react(self, body: Json) -> None:
        self._persons.react(body["user"], body["channel"], body["ts"], body["name"])

    def _click(self, body: Json) -> None:
        self._persons.click(body["user"], body["ts"], body["action_id"], body.get("value"))

    def _stop(self, body: Json) -> None:
        self._persons.stop(body["user"], body["channel"], body["thread_ts"])

    async def _submit(self, body: Json) -> Json:
        interactions = self._desk.interactions
        payload = interactions.submit_view(body["view"], body["values"])
        return interactions.answered(body["view"], await self._dispatcher.interact(payload))

    def _dismiss(self, body: Json) -> None:
        view = self._workspace.views.pop(body["view"], None)
        if view:
            self._workspace.changed("view", item=view)


def from_elsewhere(request: Request) -> bool:
    """Whether another site's page sent this: the page has no sign-in that would stop it."""
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


SHOWN = frozenset({"message", "removed", "ephemeral", "session", "status", "view"})
