"""The one way to ask a monitored system: GET, on paths of an allow-list, with a limit on time and bytes.

There is no method to write with, no redirect is followed, and what is checked is what is sent.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
from pydantic_core import from_json
from yarl import URL

from app import tracing
from app.instruments import SOURCE_REQUESTS
from app.settings import Endpoint
from app.sources.allowed import AllowList, Unacceptable
from app.sources.failures import NotThere, QueryRejected, ReadRefused, SourceFailed
from app.sources.wording import looks_like_html, own_words
from app.standing import STANDINGS, Standings

MOST_BYTES = 8 * 1024 * 1024
MOST_ERROR_BYTES = 64 * 1024
TIMEOUT_SECONDS = 15.0
CONNECT_SECONDS = 5.0
MOST_CONNECTIONS = 8
SKEW_WORTH_SAYING = 30.0
"""Seconds between a source's clock and ours; less is within what scraping and rounding blur anyway."""

Params = Mapping[str, str | int | float] | tuple[tuple[str, str], ...]


class ReadOnlyHttp:
    """Reads one system at `endpoint.url`; `source` is its short name, as readers see it in sentences.

    `allowed` are path patterns below that address (see `AllowList`). `headers` go out with every request.
    Credentials in the address itself are sent as basic authentication and appear in no link. How it answers
    is noted under `dependency`, by default the source's name.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        allowed: tuple[str, ...],
        *,
        source: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        most_bytes: int = MOST_BYTES,
        headers: Mapping[str, str] | None = None,
        dependency: str | None = None,
        standings: Standings = STANDINGS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.source = source
        self._dependency = dependency or source
        self._standings = standings
        address = URL(endpoint.url.rstrip("/"))
        self._base = address.with_user(None).with_query(None).with_fragment(None)
        self._headers = {**_proof(endpoint, address), **(headers or {})}
        self._secrets = _secrets(endpoint, self._headers)
        self._allowed = AllowList(allowed)
        self._ca_file = endpoint.ca_file
        self._timeout_seconds = timeout_seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()
        self.skew_seconds: float | None = None
        """How far the source's clock was ahead of ours at its last answer; None before one that tells."""

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def json(self, path: str, params: Params | None = None) -> Any:
        """The answer of `path`, parsed.

        Raises:
            SourceFailed: no usable answer (`QueryRejected`: it refuses the question; `NotThere`: 404).
            ReadRefused: the path is not on the allow-list; nothing was sent.
        """
        body = await self._read(path, params, "application/json")
        if not body.strip():
            raise SourceFailed(self.source, "answered with nothing.")
        if looks_like_html(body):
            raise SourceFailed(
                self.source, f"answered with a web page instead of data; is {self._base} its API?"
            )
        try:
            return from_json(body)
        except ValueError:
            raise SourceFailed(self.source, "answered with something that is not JSON.") from None

    async def text(self, path: str, params: Params | None = None) -> str:
        """The answer of `path` as text; raises as `json` does."""
        return (await self._read(path, params, "*/*")).decode("utf-8", errors="replace")

    def page(self, path: str, params: Params | None = None) -> str:
        """An address for a person to open; nothing is asked, so it may be any page of the system."""
        query = f"?{urlencode(params)}" if params else ""
        return f"{str(self._base).rstrip('/')}{path}{query}"

    def clock_notice(self) -> str | None:
        """A sentence when the source's clock is off against ours; times read from it are off as much."""
        if self.skew_seconds is None or abs(self.skew_seconds) < SKEW_WORTH_SAYING:
            return None
        way = "ahead of" if self.skew_seconds > 0 else "behind"
        seconds = abs(self.skew_seconds)
        return f"The clock of {self.source} is {seconds:.0f} s {way} ours; its times are off by that."

    async def _read(self, path: str, params: Params | None, accept: str) -> bytes:
        try:
            plain = self._allowed.admit(path)
        except Unacceptable:
            raise ReadRefused(self.source, path) from None
        url = URL(str(self._base).rstrip("/") + plain, encoded=True)
        began = time.monotonic()
        said = {"sre_agent.source": self._kind, "server.address": url.host, "url.path": plain}
        try:
            with tracing.span("sre_agent.source.read", said, kind="client"):
                body = await self._asked(url, params, accept)
        except SourceFailed as failure:
            # Whoever says no to a question answers.
            self._note(failure if type(failure) is SourceFailed else None, time.monotonic() - began)
            raise
        self._note(None, time.monotonic() - began)
        return body

    def _note(self, failure: SourceFailed | None, seconds: float) -> None:
        if failure is None:
            self._standings.answered(self._dependency, seconds)
        else:
            self._standings.failed(self._dependency, failure.sentence)
        SOURCE_REQUESTS.record(seconds, source=self._kind, outcome="failed" if failure else "ok")

    @property
    def _kind(self) -> str:
        """Registered services are many, and one kind of source."""
        return self._dependency.partition(":")[0]

    async def _asked(self, url: URL, params: Params | None, accept: str) -> bytes:
        headers = {"Accept": accept}
        if trace_id := tracing.current_trace_id():
            headers[tracing.HEADER] = trace_id
        try:
            session = await self._opened()
            async with session.get(
                url, params=params or None, headers=headers, allow_redirects=False
            ) as response:
                self._compare_clocks(response)
                return await self._body(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceFailed(self.source, self._trouble(error)) from error

    def _trouble(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"did not answer within {self._timeout_seconds:g} seconds."
            case aiohttp.ClientSSLError():
                return "has a certificate not trusted here; SOURCES_CA_FILE names the authority to trust."
            case aiohttp.ClientConnectorDNSError():
                return "cannot be reached: its host name is not known."
            case aiohttp.ClientConnectorError():
                return f"cannot be reached: {error.os_error.strerror or 'no connection'}."
            case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | ConnectionError():
                return "broke its answer off."
            case _:
                return f"cannot be asked ({type(error).__name__})."

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if 300 <= response.status < 400:
            raise SourceFailed(
                self.source, f"redirects to another address (HTTP {response.status}), which is not followed."
            )
        if response.status >= 400:
            raise self._refusal(response.status, await _head(response, MOST_ERROR_BYTES))
        body = await _head(response, self._most_bytes + 1)
        if len(body) > self._most_bytes:
            most = f"{self._most_bytes / 1024 / 1024:g} MiB"
            raise SourceFailed(self.source, f"answered more than {most}; ask for less.")
        return body

    def _refusal(self, status: int, body: bytes) -> SourceFailed:
        words = self._without_credentials(own_words(body))
        said = f": {words}" if words else "."
        if status in (401, 403):
            return SourceFailed(self.source, f"does not accept our credentials (HTTP {status}){said}")
        if status == 404:
            return NotThere(self.source, f"has nothing at that address (HTTP 404){said}")
        if status in (400, 422) and words:
            return QueryRejected(self.source, f"rejects the query{said}")
        return SourceFailed(self.source, f"answered with an error (HTTP {status}){said}")

    def _without_credentials(self, words: str) -> str:
        """What a system echoes of our own request must not travel on in its error."""
        for secret in self._secrets:
            words = words.replace(secret, "[masked]")
        return words

    def _compare_clocks(self, response: aiohttp.ClientResponse) -> None:
        try:
            theirs = parsedate_to_datetime(response.headers.get("Date", ""))
            self.skew_seconds = (theirs - self._clock()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return  # none, none that is a date, or one without a zone

    async def _opened(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None or self._session.closed:
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, ssl=await self._tls()),
                    headers=self._headers,
                    timeout=aiohttp.ClientTimeout(total=self._timeout_seconds, sock_connect=CONNECT_SECONDS),
                    cookie_jar=aiohttp.DummyCookieJar(),
                )
            return self._session

    async def _tls(self) -> ssl.SSLContext | bool:
        """Our own authority beside the system's; reading files is done off the event loop."""
        if self._ca_file is None:
            return True
        try:
            context = await asyncio.to_thread(ssl.create_default_context)
            await asyncio.to_thread(context.load_verify_locations, self._ca_file)
        except OSError as error:
            raise SourceFailed(
                self.source, f"is not asked: the file of SOURCES_CA_FILE cannot be used ({error.strerror})."
            ) from None
        return context


def _proof(endpoint: Endpoint, address: URL) -> dict[str, str]:
    """The headers that say who asks: a bearer token, else a user and password; and the tenant."""
    headers = {}
    user = endpoint.user or address.user
    password = endpoint.password.get_secret_value() if endpoint.password else address.password
    if endpoint.token:
        headers["Authorization"] = f"Bearer {endpoint.token.get_secret_value()}"
    elif user:
        pair = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    if endpoint.tenant:
        headers["X-Scope-OrgID"] = endpoint.tenant
    return headers


def _secrets(endpoint: Endpoint, headers: Mapping[str, str]) -> tuple[str, ...]:
    proofs = [value.split(" ")[-1] for name, value in headers.items() if "auth" in name.lower()]
    passwords = [endpoint.password.get_secret_value()] if endpoint.password else []
    return tuple(each for proof in [*proofs, *passwords] if len(each := proof.removeprefix("token=")) >= 4)


async def _head(response: aiohttp.ClientResponse, most: int) -> bytes:
    """At most about `most` bytes of a body; the rest is not read, and the connection not used again."""
    parts, size = [], 0
    async for chunk in response.content.iter_chunked(64 * 1024):
        parts.append(chunk)
        size += len(chunk)
        if size >= most:
            response.close()
            break
    return b"".join(parts)
