"""The Bolt app and its two doors: Socket Mode and `POST /slack/events`.

In both, a listener finishes before the ack (`process_before_response`): what Slack believes we have, we have
stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from app.errors import AgentError
from app.slack.guard import verify
from app.slack.incoming import Me
from app.slack.listeners import register
from app.slack.listeners.desk import Desk
from app.slack.payload import oddity

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 10
"""How long a closing Socket Mode client may take: with Slack away it would wait for ever."""

PING_SECONDS = 5.0
"""How often we ping. The SDK takes a line for dead when one ping and a half brought nothing at all, or four
no pong, and looks at that once a ping: a line that carries nothing is replaced in 5 to 13 seconds, one that
only does not carry what we say in 20 to 35. Slack delivers again after a minute what was not acknowledged."""


class SlackUnusable(AgentError):
    """Slack refused our token, or did not answer at start."""

    code = "slack_unusable"


async def who_am_i(client: AsyncWebClient) -> Me:
    """Ask `auth.test` once; every later event is authorised from this, so none is lost to a failing call.

    Raises:
        SlackUnusable: with what to check.
    """
    try:
        answer = await client.auth_test()
    except SlackApiError as error:
        reason = error.response.get("error", "unknown")
        raise SlackUnusable(
            f"Slack refuses SLACK_BOT_TOKEN ({reason}). Copy the bot token (xoxb-…) from the app's "
            "“OAuth & Permissions” page and install the app to the workspace."
        ) from error
    except Exception as error:
        raise SlackUnusable(
            f"Slack does not answer at {client.base_url} ({type(error).__name__}). Check SLACK_API_URL and "
            "the way out of this network."
        ) from error
    return Me(
        team_id=answer["team_id"],
        user_id=answer["user_id"],
        bot_id=answer.get("bot_id") or "",
        url=answer.get("url") or "",
    )


def build_app(desk: Desk) -> AsyncApp:
    """A Bolt app whose listeners are ours. Signatures are checked before it (`guard`), so not again here."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=desk.me.team_id,
            bot_user_id=desk.me.user_id,
            bot_id=desk.me.bot_id,
            bot_token=desk.client.token,
        )

    app = AsyncApp(
        name="sre-agent",  # else it looks through the whole stack for one, which takes 0.15 s
        client=desk.client,
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,
        # We drop the agent's own messages ourselves; Bolt's way costs a lookup per event.
        ignoring_self_events_enabled=False,
        oauth_settings=None,
    )

    @app.error
    async def failed(error: Exception) -> BoltResponse:
        # Not acknowledged: Slack delivers the event again.
        # An error that is not ours may repeat what it was about.
        reason = str(error) if isinstance(error, AgentError) else ""
        log.error("listener_failed", reason=reason, kind=type(error).__name__)
        return BoltResponse(status=error.status if isinstance(error, AgentError) else 500, body="")

    register(app, desk)
    return app


async def dispatch(app: AsyncApp, payload: Any, request: Callable[[], AsyncBoltRequest]) -> BoltResponse:
    """Let Bolt's listeners work on a payload; `request` makes Bolt's own reading of it.

    What has no shape that anybody here looks at is acknowledged: delivered again it would have none either.
    """
    odd = oddity(payload)
    if odd is None:
        try:
            read = request()
        except Exception as error:  # Bolt looks at more of it than we do, before it asks any listener
            odd = type(error).__name__
        else:
            return await app.async_dispatch(read)
    log.warning("payload_not_understood", where=odd)
    return BoltResponse(status=200, body="")


class SocketMode:
    """Events over a WebSocket that we open: no address of ours on the internet."""

    def __init__(
        self, app: AsyncApp, app_token: str, client: AsyncWebClient, *, ping_seconds: float = PING_SECONDS
    ) -> None:
        self._app = app
        self._handshake_seconds = ping_seconds * 2
        self._handler = AsyncSocketModeHandler(app, app_token, web_client=client, ping_interval=ping_seconds)
        self._handler.client.socket_mode_request_listeners = [self._hear]

    async def _hear(self, client: AsyncBaseSocketModeClient, heard: SocketModeRequest) -> None:
        began = time.time()

        def request() -> AsyncBoltRequest:
            return AsyncBoltRequest(mode="socket_mode", body=heard.payload, headers=build_headers(heard))

        await send_async_response(client, heard, await dispatch(self._app, heard.payload, request), began)

    async def start(self) -> None:
        # The SDK's own session would wait five minutes for the handshake on a line that carries nothing.
        await self._handler.client.aiohttp_client_session.close()
        self._handler.client.aiohttp_client_session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._handshake_seconds)
        )
        await self._handler.connect_async()

    async def stop(self) -> None:
        try:
            await asyncio.wait_for(self._handler.close_async(), CLOSE_SECONDS)
        except TimeoutError:
            log.warning("socket_mode_left_open")

    @property
    def connected(self) -> bool:
        session = self._handler.client.current_session
        return session is not None and not session.closed


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: dict[str, str]
    body: str


class HttpEvents:
    """Events over signed HTTP; `web/` hands the raw request in."""

    def __init__(self, app: AsyncApp, signing_secret: str) -> None:
        self._app = app
        self._secret = signing_secret

    async def answer(self, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Verify, then let Bolt's listeners work.

        Raises:
            SlackRequestRefused: unsigned, replayed, malformed or oversized.
        """
        payload = verify(headers, body, secret=self._secret, now=time.time())
        response = await dispatch(
            self._app, payload, lambda: AsyncBoltRequest(body=body.decode(), headers=dict(headers))
        )
        return HttpAnswer(response.status, response.first_headers(), response.body or "")
