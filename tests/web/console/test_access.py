"""Who gets into the console: by token, by cookie, by a proxy that is trusted, and nobody else."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.web.console.access import COOKIE, SIGNED_IN_SECONDS, Access, Failures
from app.web.ops import ops_app
from tests.web.console.conftest import PROXY, TOKEN, Clock, app_on, browser_of

ALICE = {"X-Forwarded-Email": "alice@acme.example"}
PAGES = (
    "/console/",
    "/console/live",
    "/console/audit",
    "/console/audit.csv",
    "/console/sessions/1",
    "/console/calls/1",
)


def entrance(
    history: AsyncEngine, clock: Clock, *, peer: str = "192.0.2.9", **headers: str
) -> httpx.AsyncClient:
    access = Access(TOKEN, (PROXY, "10.1.0.0/24"), clock=clock, failures=Failures(clock))
    return browser_of(app_on(history, access), peer=peer, **headers)


async def sign_in(
    browser: httpx.AsyncClient, token: str = TOKEN, wanted: str = "/console/audit?user=U1"
) -> httpx.Response:
    return await browser.post("/console/login", data={"token": token, "wanted": wanted})


async def test_it_is_not_there_unless_it_is_switched_on() -> None:
    browser = browser_of(ops_app({}, draining=lambda: False))
    for path in ("/console", "/console/", "/console/login", "/console/static/console.css"):
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_sees_a_page_before_signing_in(history: AsyncEngine, clock: Clock, path: str) -> None:
    async with entrance(history, clock) as browser:
        refused = await browser.get(path)
        assert refused.status_code == 401
        assert 'name="token"' in refused.text
        assert f'name="wanted" value="{path}"' in refused.text
        assert "checkout" not in refused.text
        told = await browser.get(path, headers={"Accept": "*/*"})
        assert told.json() == {"error": "not_signed_in", "reason": "Sign in to see the console."}


async def test_the_token_signs_in_for_twelve_hours_and_leads_where_one_was_going(
    history: AsyncEngine, clock: Clock
) -> None:
    async with entrance(history, clock) as browser:
        entered = await sign_in(browser)
        assert (entered.status_code, entered.headers["location"]) == (303, "/console/audit?user=U1")
        cookie = entered.headers["set-cookie"].lower()
        assert all(
            each in cookie for each in ("httponly", "samesite=strict", "path=/console", "max-age=43200")
        )
        assert "secure" not in cookie
        assert TOKEN not in cookie
        assert (await browser.get("/console/")).status_code == 200
        clock.seconds += SIGNED_IN_SECONDS + 1
        assert (await browser.get("/console/")).status_code == 401


async def test_behind_tls_the_cookie_is_for_tls_alone(history: AsyncEngine, clock: Clock) -> None:
    async with entrance(history, clock, **{"X-Forwarded-Proto": "https"}) as browser:
        assert "secure" in (await sign_in(browser)).headers["set-cookie"].lower()


async def test_signing_out_ends_it(history: AsyncEngine, clock: Clock) -> None:
    async with entrance(history, clock) as browser:
        await sign_in(browser)
        assert (await browser.post("/console/logout")).headers["location"] == "/console/login"
        assert (await browser.get("/console/")).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda cookie: "",
        lambda cookie: "9999999999.00." + cookie.rpartition(".")[2],
        lambda cookie: cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        lambda cookie: "9" + cookie,
        lambda cookie: cookie.partition(".")[2],
        lambda cookie: "x.y.z",
        lambda cookie: "\u00e9.\u00e9",
    ],
)
async def test_a_cookie_that_was_changed_is_none(history: AsyncEngine, clock: Clock, change) -> None:  # type: ignore[no-untyped-def]
    async with entrance(history, clock) as browser:
        cookie = (await sign_in(browser)).cookies[COOKIE]
        browser.cookies.clear()
        headers = [(b"cookie", f"{COOKIE}={change(cookie)}".encode("latin-1"))]
        assert (await browser.get("/console/", headers=headers)).status_code == 401


async def test_another_token_ends_what_was_signed_in(history: AsyncEngine, clock: Clock) -> None:
    async with entrance(history, clock) as browser:
        cookie = (await sign_in(browser)).cookies[COOKIE]
    other = app_on(history, Access("another-token-0123456789", clock=clock))
    async with browser_of(other, Cookie=f"{COOKIE}={cookie}") as browser:
        assert (await browser.get("/console/")).status_code == 401


async def test_a_bearer_token_does_for_programs(history: AsyncEngine, clock: Clock) -> None:
    async with entrance(history, clock, Authorization=f"Bearer {TOKEN}") as program:
        assert (await program.get("/console/audit.ndjson")).status_code == 200
    async with entrance(history, clock, Authorization="Bearer wrong") as program:
        assert (await program.get("/console/audit.ndjson")).status_code == 401


async def test_who_guesses_is_slowed_down_and_others_are_not(history: AsyncEngine, clock: Clock) -> None:
    access = Access(TOKEN, clock=clock, failures=Failures(clock))
    app = app_on(history, access)
    async with browser_of(app) as guessing, browser_of(app, peer="192.0.2.10") as other:
        for number in range(5):
            assert (await sign_in(guessing, f"guess {number}")).status_code == 401
        slowed = await sign_in(guessing)
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "60")
        assert "try again in 60 s" in slowed.text
        assert (await guessing.get("/console/", headers={"Authorization": "Bearer guess"})).status_code == 429
        assert (await sign_in(other)).status_code == 303
        clock.seconds += 60
        assert (await sign_in(guessing)).status_code == 303


async def test_behind_a_proxy_guesses_are_counted_by_who_came_to_it(
    history: AsyncEngine, clock: Clock
) -> None:
    app = app_on(history, Access(TOKEN, (PROXY,), clock=clock, failures=Failures(clock)))
    async with browser_of(app, peer=PROXY) as proxy:
        for _ in range(5):
            # What stands before the proxy's own entry is anybody's invention.
            await proxy.post(
                "/console/login",
                data={"token": "no"},
                headers={"X-Forwarded-For": f"198.51.100.{_}, 203.0.113.7"},
            )
        again = {"X-Forwarded-For": "203.0.113.7"}
        assert (await proxy.post("/console/login", data={"token": TOKEN}, headers=again)).status_code == 429
        other = {"X-Forwarded-For": "203.0.113.8"}
        assert (await proxy.post("/console/login", data={"token": TOKEN}, headers=other)).status_code == 303


def test_what_is_remembered_of_guesses_is_bounded() -> None:
    failures = Failures(Clock())
    for number in range(5_000):
        failures.add(str(number))
    assert len(failures._of) == 2_000


@pytest.mark.parametrize("peer", [PROXY, "10.1.0.77", f"::ffff:{PROXY}"])
async def test_a_trusted_proxy_says_who_somebody_is(history: AsyncEngine, clock: Clock, peer: str) -> None:
    async with entrance(history, clock, peer=peer, **ALICE) as browser:
        page = await browser.get("/console/")
        assert page.status_code == 200
        assert "alice@acme.example" in page.text
        assert "Sign out" not in page.text


@pytest.mark.parametrize("peer", ["192.0.2.9", "10.1.1.1", "127.0.0.1", "::1", "testclient"])
async def test_nobody_else_is_believed(history: AsyncEngine, clock: Clock, peer: str) -> None:
    forged = {**ALICE, "X-Forwarded-For": PROXY, "X-Real-Ip": PROXY, "Forwarded": f"for={PROXY}"}
    async with entrance(history, clock, peer=peer, **forged) as browser:
        assert (await browser.get("/console/")).status_code == 401


async def test_two_names_are_none(history: AsyncEngine, clock: Clock) -> None:
    async with entrance(history, clock, peer=PROXY) as browser:
        twice = [("X-Forwarded-Email", "alice@acme.example"), ("X-Forwarded-Email", "eve@acme.example")]
        assert (await browser.get("/console/", headers=twice)).status_code == 401


async def test_without_a_token_there_is_no_form_to_guess_at(history: AsyncEngine, clock: Clock) -> None:
    async with browser_of(app_on(history, Access(None, (PROXY,), clock=clock))) as browser:
        page = await browser.get("/console/")
        assert page.status_code == 401
        assert "<form" not in page.text
        assert "open the console through the proxy" in page.text
        for token in ("", "x"):
            assert (await sign_in(browser, token)).status_code == 401
        assert (
            await browser.get("/console/", headers={"Cookie": f"{COOKIE}=9999999999.0.x"})
        ).status_code == 401


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/console//evil.example",
        "/consolevil",
        "/\\evil.example",
        "/console/\r\nx: y",
        "javascript:alert(1)",
        "",
    ],
)
async def test_signing_in_leads_nowhere_but_into_the_console(
    history: AsyncEngine, clock: Clock, wanted: str
) -> None:
    async with entrance(history, clock) as browser:
        assert (await sign_in(browser, wanted=wanted)).headers["location"] == "/console/"


@pytest.mark.parametrize("path", ["/console/login", "/console/logout"])
async def test_another_site_s_form_is_refused(history: AsyncEngine, clock: Clock, path: str) -> None:
    async with entrance(history, clock, **{"Sec-Fetch-Site": "cross-site"}) as browser:
        refused = await browser.post(path, data={"token": TOKEN})
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers


async def test_a_link_from_elsewhere_asks_once_more_by_itself(history: AsyncEngine, clock: Clock) -> None:
    """A strict cookie does not come along with a link in Slack."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with entrance(history, clock) as browser:
        page = await browser.get("/console/audit", headers=link)
        assert '<meta http-equiv="refresh" content="0">' in page.text
        again = await browser.get("/console/audit", headers={**link, "Sec-Fetch-Site": "same-origin"})
        assert 'name="token"' in again.text


@pytest.mark.parametrize(
    "path",
    ["/console/", "/console/login", "/console/nowhere", "/console/static/console.js", "/console/audit.csv"],
)
async def test_every_answer_forbids_what_is_not_ours(history: AsyncEngine, clock: Clock, path: str) -> None:
    async with entrance(history, clock, Authorization=f"Bearer {TOKEN}") as browser:
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert ("no-store" in headers["cache-control"]) != ("/static/" in path)
