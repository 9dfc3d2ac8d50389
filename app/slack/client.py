"""The way to Slack's Web API: a client with bounded retries, what failures mean, and the pace of posting."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient

from app.conversations.reply import NotReached
from app.errors import AgentError
from app.giving_way import give_way

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

SlackClient = AsyncWebClient
"""The name under which the composition root passes a client on."""

SECONDS_A_CALL = 15
LONGEST_WAIT = 30
"""Seconds of `Retry-After` that are waited for; a longer one is the caller's business."""

REPEATABLE = frozenset(
    {
        "agents.sessions.setStatus",
        "auth.test",
        "bots.info",
        "chat.delete",
        "chat.getPermalink",
        "chat.stopStream",
        "chat.update",
        "conversations.history",
        "conversations.info",
        "conversations.replies",
        "files.info",
        "reactions.add",
        "reactions.remove",
        "team.info",
        "usergroups.users.list",
        "users.info",
        "users.lookupByEmail",
        "views.publish",
    }
)
"""Methods whose second call leaves Slack as the first did; others are repeated only when surely not done."""

PASSING = frozenset(
    {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable"}
)
"""Refusals that speak of Slack's own state and not of the call."""


class SlackRefused(AgentError):
    """Slack understood the call and said no; `error` is its word for it."""

    code = "slack_refused"
    status = 502

    def __init__(self, method: str, error: str) -> None:
        super().__init__(f"Slack refused {method}: {error}.")
        self.error = error


class SlackUnavailable(NotReached):
    """Slack cannot be reached or asks to wait. `certain` says that the call was surely not carried out."""

    code = "slack_unavailable"

    def __init__(self, sentence: str, *, certain: bool) -> None:
        super().__init__(sentence)
        self.certain = certain


async def ask(method: str, call: Awaitable[Any]) -> Any:
    """Await a call of the client and tell its failures apart.

    Raises:
        SlackRefused: when Slack refused the call for good.
        SlackUnavailable: on 429, 5xx, time-outs and lost connections.
    """
    await give_way()
    try:
        return await call
    except SlackApiError as error:
        raise _meaning(method, error) from error
    except (aiohttp.ClientConnectorError, ConnectionRefusedError) as error:
        raise SlackUnavailable(f"Slack cannot be reached for {method}.", certain=True) from error
    except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError) as error:
        raise SlackUnavailable(f"Slack did not answer {method}.", certain=False) from error


def _meaning(method: str, error: SlackApiError) -> SlackRefused | SlackUnavailable:
    response = error.response
    status = int(str(getattr(response, "status_code", "") or getattr(response, "status", "") or 200))
    data = getattr(response, "data", None)
    said = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == 429 or said == "ratelimited":
        return SlackUnavailable(f"Slack asks to wait with {method}.", certain=True)
    if status >= 500 or not said or said in PASSING:
        return SlackUnavailable(f"Slack failed at {method} ({said or status}).", certain=False)
    return SlackRefused(method, said)


# -- the client ------------------------------------------------------------------------------------------


def web_session() -> aiohttp.ClientSession:
    """Connections kept alive between calls; made inside the running loop and closed by whoever made it.

    The SDK finds the proxy in the environment once; with `trust_env` aiohttp would look for it, and for
    a `.netrc`, in a thread before every call.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200, keepalive_timeout=60),
        timeout=aiohttp.ClientTimeout(total=SECONDS_A_CALL, connect=5),
    )


def web_client(
    token: str | None,
    base_url: str = "https://slack.com/api/",
    *,
    session: aiohttp.ClientSession | None = None,
    sleep: Sleep = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> AsyncWebClient:
    """A client that waits when Slack says so and repeats what may be repeated.

    Bolt's own clients of single listeners keep `base_url` and `retry_handlers` and lose the session.
    """
    return AsyncWebClient(
        token=token,
        base_url=base_url,
        timeout=SECONDS_A_CALL,
        session=session,
        retry_handlers=[RateLimitRetry(sleep, chance), OutageRetry(sleep, chance)],
    )


class RateLimitRetry(AsyncRateLimitErrorRetryHandler):
    """Wait as long as a 429 asks and call again, a few times."""

    def __init__(self, sleep: Sleep, chance: Callable[[], float], times: int = 3) -> None:
        super().__init__(max_retry_count=times)
        self._sleep, self._chance = sleep, chance

    async def _can_retry_async(self, *, response: HttpResponse | None = None, **_: Any) -> bool:
        return response is not None and response.status_code == 429 and _retry_after(response) <= LONGEST_WAIT

    async def prepare_for_next_attempt_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        state.next_attempt_requested = True
        # A little late and never early: calls that were limited together do not come back together.
        await self._sleep((_retry_after(response) if response else 1) + self._chance() / 2)
        state.increment_current_attempt()


class OutageRetry(AsyncRetryHandler):
    """Call again after a 5xx or a lost connection when that is harmless, or after one never made."""

    def __init__(self, sleep: Sleep, chance: Callable[[], float], times: int = 2) -> None:
        super().__init__(max_retry_count=times)
        self._sleep, self._chance = sleep, chance

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if isinstance(error, aiohttp.ClientConnectorError):
            return True
        method = request.url.split("?", maxsplit=1)[0].rsplit("/", maxsplit=1)[-1]
        lost = isinstance(error, aiohttp.ClientConnectionError)
        failed = response is not None and (response.status_code or 0) >= 500
        return method in REPEATABLE and (lost or failed)

    async def prepare_for_next_attempt_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        state.next_attempt_requested = True
        await self._sleep(0.25 * 2**state.current_attempt * (1 + self._chance()))
        state.increment_current_attempt()


def _retry_after(response: HttpResponse) -> float:
    for name, value in response.headers.items():
        if name.lower() == "retry-after":
            said = value if isinstance(value, str) else value[0]
            return float(said) if said.isdigit() else 1.0
    return 1.0


# -- the pace --------------------------------------------------------------------------------------------


class Pace:
    """Slack takes about one post a second in a channel, and small bursts; so posts queue here in their order.

    The limit: https://docs.slack.dev/apis/web-api/rate-limits
    """

    def __init__(
        self,
        *,
        per_second: float = 1,
        burst: int = 5,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._per_second, self._burst, self._clock, self._sleep = per_second, burst, clock, sleep
        self._levels: dict[str, tuple[float, float]] = {}

    async def turn(self, channel: str) -> None:
        """Wait until this post may go to `channel`."""
        now = self._clock()
        level, since = self._levels.pop(channel, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._per_second) - 1
        self._levels[channel] = (level, now)
        self._forget_full(now)
        if level < 0:
            await self._sleep(-level / self._per_second)

    def _forget_full(self, now: float) -> None:
        """Channels nobody posted to for a while have their whole burst again and need no entry."""
        while self._levels:
            channel, (level, since) = next(iter(self._levels.items()))
            if level + (now - since) * self._per_second < self._burst:
                return
            del self._levels[channel]
