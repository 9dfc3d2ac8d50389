"""Who may see the console: whoever holds CONSOLE_TOKEN, or is named by a proxy that is trusted.

The cookie holds no token: it is an expiry, signed with a key made from the token, so every replica takes it
and a new token ends all of them.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal

from starlette.requests import Request

from app.errors import AgentError
from app.web.floods import TooManyFailures, peer

COOKIE = "sre_agent_console"
SIGNED_IN_SECONDS = 12 * 3600
MOST_FAILURES = 5
FAILURES_WITHIN_SECONDS = 60.0
CLIENTS_REMEMBERED = 2_000
NAMED_BY_PROXY = ("x-forwarded-email", "x-forwarded-user")
"""As oauth2-proxy sends them: https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview"""

Clock = Callable[[], float]


class NotSignedIn(AgentError):
    code = "not_signed_in"
    status = 401


class WrongToken(AgentError):
    code = "wrong_token"
    status = 401


@dataclass(frozen=True)
class Visitor:
    """Who looks: the name a proxy gave, or whoever has the token."""

    name: str
    by: Literal["token", "proxy"]


class Failures:
    """Wrong tokens by address, within the last minute. What is remembered is bounded.

    Unlike `FailedProofs` it refuses the right token too: a person's token may be guessed, a signature not.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._of: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, who: str) -> None:
        """Raises `TooManyFailures`."""
        times = self._of.get(who)
        while times and self._clock() - times[0] >= FAILURES_WITHIN_SECONDS:
            times.popleft()
        if times and len(times) >= MOST_FAILURES:
            raise TooManyFailures(times[0] + FAILURES_WITHIN_SECONDS - self._clock())

    def add(self, who: str) -> None:
        self._of.setdefault(who, deque(maxlen=MOST_FAILURES)).append(self._clock())
        self._of.move_to_end(who)
        while len(self._of) > CLIENTS_REMEMBERED:
            self._of.popitem(last=False)


class Access:
    """`token` and `proxies` (addresses or networks) are the two ways in; one may be absent."""

    def __init__(
        self,
        token: str | None,
        proxies: Sequence[str] = (),
        *,
        clock: Clock = time.time,
        failures: Failures | None = None,
    ) -> None:
        self._token = token.encode() if token else None
        self._key = hmac.digest(self._token, b"console cookie", "sha256") if self._token else None
        self._proxies = tuple(ip_network(each) for each in proxies)
        self._clock = clock
        self._failures = failures or Failures()

    @property
    def takes_token(self) -> bool:
        return self._token is not None

    def visitor(self, request: Request) -> Visitor:
        """Who asks.

        Raises:
            NotSignedIn: nothing says who.
            WrongToken: the bearer token is another one.
            TooManyFailures: too many were, of late.
        """
        if name := self._named_by_proxy(request):
            return Visitor(name, "proxy")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if self._token and scheme.lower() == "bearer":
            self._prove(request, given.strip())
            return Visitor("token", "token")
        if self._is_signed(request.cookies.get(COOKIE, "")):
            return Visitor("token", "token")
        raise NotSignedIn(
            "Sign in to see the console."
            if self._token
            else "Nobody has signed you in: open the console through the proxy that does."
        )

    def sign_in(self, request: Request, given: str) -> str:
        """The cookie for who gave the right token. Raises as `visitor` does."""
        self._prove(request, given.strip())
        said = f"{round(self._clock()) + SIGNED_IN_SECONDS}.{secrets.token_hex(8)}"
        return f"{said}.{self._signature(said)}"

    def is_secure(self, request: Request) -> bool:
        """Whether the browser came by https; whoever lies about it has a cookie of less use to themselves."""
        return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower())

    def _prove(self, request: Request, given: str) -> None:
        who = self._address(request)
        self._failures.check(who)
        if self._token is None or not hmac.compare_digest(given.encode(), self._token):
            self._failures.add(who)
            raise WrongToken("This is not CONSOLE_TOKEN.")

    def _is_signed(self, cookie: str) -> bool:
        said, _, signature = cookie.rpartition(".")
        if self._key is None or not hmac.compare_digest(signature.encode(), self._signature(said).encode()):
            return False
        return self._clock() < int(said.partition(".")[0])

    def _signature(self, said: str) -> str:
        return hmac.new(self._key or b"", said.encode(), "sha256").hexdigest()

    def _named_by_proxy(self, request: Request) -> str | None:
        if not self._is_proxy(_peer(request)):
            return None
        for header in NAMED_BY_PROXY:
            named = request.headers.getlist(header)
            # Of two, one is not the proxy's.
            if len(named) == 1 and (name := named[0].strip()):
                return name[:200]
        return None

    def _is_proxy(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)

    def _address(self, request: Request) -> str:
        """Whose failures are counted: the peer, or behind proxies of ours whoever the last of them saw."""
        seen = [_peer(request)]
        if self._is_proxy(seen[0]):
            forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
            seen += [_parsed(each.strip()) for each in reversed(forwarded)]
        return peer(str(next((each for each in seen if not self._is_proxy(each)), seen[0])))


def _peer(request: Request) -> IPv4Address | IPv6Address | None:
    return _parsed(request.client.host) if request.client else None


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
