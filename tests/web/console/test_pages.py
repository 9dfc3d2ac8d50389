"""What each page shows, and that nothing of what others wrote becomes markup or an address."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.web.console.access import Access
from tests.web.console.conftest import NOW, TOKEN, app_on, browser_of, seen
from tests.web.console.history import ATTACK, investigation_id

PAGES = (
    "/console/",
    "/console/live",
    "/console/sessions",
    "/console/investigations",
    f"/console/investigations/{investigation_id(0)}",
    "/console/figures",
    "/console/knowledge",
    "/console/audit",
)


class Markup(HTMLParser):
    """What a browser would load, follow and run."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: set[str] = set()
        self.links: set[str] = set()
        self.scripted: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "src" or (tag == "link" and name == "href"):
                self.sources.add((value or "").partition("?")[0])
            elif name in ("href", "action"):
                self.links.add(value or "")
            elif name == "style" or name.startswith("on"):
                self.scripted.append(f"{tag} {name}")
        if tag in ("style", "iframe", "object", "embed", "base") or (
            tag == "script" and not dict(attrs).get("src")
        ):
            self.scripted.append(tag)


def text_of(page: str) -> str:
    """What a reader sees, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


async def rich_session(asking: httpx.AsyncClient) -> str:
    found = await asking.get("/console/sessions?find=" + "ab" * 16)
    assert found.status_code == 303
    return found.headers["location"]


async def test_what_others_wrote_is_text_on_every_page(visitor: httpx.AsyncClient) -> None:
    session = await rich_session(visitor)
    artifact = re.search(r"/console/artifacts/\d+", await seen(visitor, session))
    call = re.search(r"/console/calls/\d+", await seen(visitor, session))
    assert artifact
    assert call
    attacked = 0
    asked = ("/console/sessions?service=" + ATTACK, "/console/audit?text=" + ATTACK)
    for path in (*PAGES, session, artifact[0], call[0], *asked):
        page = await seen(visitor, path)
        attacked += "&lt;script&gt;" in page
        markup = Markup()
        markup.feed(page)
        assert markup.sources <= {
            f"/console/static/{name}" for name in ("console.js", "console.css", "icon.svg")
        }
        assert not markup.scripted, path
        assert all(each.startswith(("/console/", "https://", "#")) for each in markup.links), path
    assert attacked >= 8


async def test_the_live_page_says_what_runs_and_what_waits(visitor: httpx.AsyncClient) -> None:
    said = text_of(await seen(visitor, "/console/"))
    assert (
        "1 running 1 waiting 1 investigation open 0 queue workers alive $1.00 this hour $1.00 today" in said
    )
    assert said.index("is payments running?") < said.index("is payments queued?")
    # The age is the database's, whose clock goes on while the other tests run.
    oldest = re.search(r"turns 1 1 (?:(\d+) min )?([\d.]+) s ", said)
    assert oldest
    since = (datetime.now(UTC) - NOW).total_seconds() + 9
    assert 9 <= 60 * int(oldest[1] or 0) + float(oldest[2]) <= since + 1
    assert "High error rate on checkout" in said


async def test_a_transcript_has_every_call_with_arguments_result_duration_and_attempt(
    visitor: httpx.AsyncClient,
) -> None:
    page = await seen(visitor, await rich_session(visitor))
    said = text_of(page)
    assert said.index("read_service_file") < said.index("I look at the latency first.") < said.index("promql")
    assert "Duration 3,004 ms Attempt 2 Outcome failed" in said
    assert "&#34;path&#34;: &#34;deploy/deployment.yaml&#34;" in page
    assert "All 30 kB of it" in said
    assert 'href="https://grafana.acme.example/promql"' in page
    assert "82% sure" in said
    assert "21,010 tokens in, 909 out · $0.0412" in said
    assert "1 found it helpful" in said
    assert "SLO workshop" in said
    assert "slo/checkout.yaml not valid" in said
    assert '<p class="heading">Before you launch checkout</p>' in page
    assert '<td class="number">99.9 %</td>' in page
    assert "[p99 latency](javascript:alert(1))" in page


async def test_all_that_was_kept_of_a_result_is_behind_a_link(visitor: httpx.AsyncClient) -> None:
    page = await seen(visitor, await rich_session(visitor))
    link = re.search(r"/console/calls/\d+", page)
    assert link
    assert "x" * 30_000 in await seen(visitor, link[0])


async def test_a_thread_is_found_by_its_link_its_place_and_a_trace(visitor: httpx.AsyncClient) -> None:
    page = await seen(visitor, await rich_session(visitor))
    place = re.search(r"C0CHECKOUT:(\d{10})\.(\d{6})", page)
    assert place
    for key in (place[0], f"https://acme.slack.example/archives/C0CHECKOUT/p{place[1]}{place[2]}"):
        assert (await visitor.get("/console/sessions", params={"find": key})).headers[
            "location"
        ] == await rich_session(visitor)
    said = await seen(visitor, "/console/sessions?find=C0NOWHERE:1763676011.000100", 404)
    assert "I was never part of the thread" in said


async def test_an_old_thread_is_shown_from_its_end(visitor: httpx.AsyncClient) -> None:
    found = await visitor.get("/console/sessions?find=C0OLD:1700000000.000100")
    path: str | None = found.headers["location"]
    asked: list[int] = []
    while path:
        page = await seen(visitor, path)
        asked = [*map(int, re.findall(r"question (\d+)\.", page)), *asked]
        earlier = re.search(r'href="([^"]+)">Earlier turns', page)
        path = earlier[1] if earlier else None
    assert sorted(asked) == list(range(45))
    assert [number // 2 for number in asked] == [number // 2 for number in range(45)]


async def test_an_investigation_shows_its_brief_against_the_outcome(visitor: httpx.AsyncClient) -> None:
    wrong = re.search(
        r'/console/investigations/([0-9a-f-]+)"(?:(?!</tr>).)*?status wrong',
        await seen(visitor, "/console/investigations"),
        re.S,
    )
    assert wrong
    page = await seen(visitor, f"/console/investigations/{wrong[1]}")
    said = text_of(page)
    assert re.search(r"What it was wrong It was the load test\. U0OMAR, modal", said)
    assert re.search(r"Likely cause .+ E1 E2 Confidence (high|medium|low), \d+%", said)
    assert said.index("E2 4f1c2ab") < said.index("E10 “pool exhausted”")
    assert '<a class="cite" href="#E1">' in page
    assert 'href="https://prometheus.acme.example/graph?g0"' in page
    assert '<code class="query">sum(rate(http_requests_total' in page


async def test_what_an_earlier_version_stored_is_shown_as_far_as_it_goes(visitor: httpx.AsyncClient) -> None:
    first = await visitor.get("/console/sessions?find=" + "0" * 32)
    assert "no model" in text_of(await seen(visitor, first.headers["location"]))
    assert "An old one." in await seen(visitor, f"/console/investigations/{investigation_id(39)}")


@pytest.mark.parametrize("path", ["sessions", "investigations", "knowledge", "audit"])
async def test_pages_follow_each_other_without_a_gap(visitor: httpx.AsyncClient, path: str) -> None:
    keys = {
        "sessions": r'href="/console/sessions/(\d+)"',
        "investigations": r'href="/console/investigations/([0-9a-f-]{36})"',
        "knowledge": r"<code>(\d\dc0ffee12345678)</code>",
        "audit": r"<td role=\"cell\" data-label=\"When\">.*?row (\d+)[ <:]",
    }
    count = {"sessions": 33, "investigations": 40, "knowledge": 30, "audit": 130}
    found: list[str] = []
    address: str | None = f"/console/{path}"
    pages = 0
    while address:
        page = await seen(visitor, address)
        found += re.findall(keys[path], page, re.S)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        address = older[1].replace("&amp;", "&") if older else None
        pages += 1
    assert pages > 1
    assert len(set(found)) == len(found) == count[path]
    assert "These are the oldest." in page


async def test_lists_are_of_one_service_where_it_is_asked_for(visitor: httpx.AsyncClient) -> None:
    investigations = await seen(visitor, "/console/investigations?service=payments&severity=P2")
    assert set(re.findall(r'severity (P\d)"', investigations)) == {"P2"}
    assert "on checkout" not in text_of(investigations)
    sessions = text_of(await seen(visitor, "/console/sessions?service=inventory"))
    assert "who is on call for inventory?" in sessions
    assert "is the quote SLO still met?" not in sessions


async def test_figures_are_drawn_and_told(visitor: httpx.AsyncClient) -> None:
    page = await seen(visitor, "/console/figures?days=90")
    assert page.count('role="img"') == 3
    assert page.count("<circle") > 8
    assert page.count("<rect") > 100
    said = text_of(page)
    assert re.search(r"\d+ of 32 judged diagnoses|\d+ of 2\d judged diagnoses", said)
    assert "anthropic claude-sonnet-5-5" in said
    assert "Not in it: 1 request of unknown price." in said
    assert "Spent by day" in said
    year = await seen(visitor, "/console/figures?days=365")
    assert "Spent by week" in year
    assert year.count("<rect") < page.count("<rect")
    assert re.findall(r"([\d.]+) USD in", year) == re.findall(r"([\d.]+) USD in", page)


async def test_a_refused_revision_says_where_and_why(visitor: httpx.AsyncClient) -> None:
    said = text_of(await seen(visitor, "/console/knowledge"))
    assert "refused 28c0ffee12345678" in said
    assert "1 error, 1 warning error workflows/slo-workshop.md:12 unknown field “targt”" in said


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/sessions/999999", 404),
        ("/console/sessions/99999999999999999999", 422),
        ("/console/sessions?before=x", 422),
        ("/console/investigations/00000000-0000-0000-0000-000000000000", 404),
        ("/console/investigations?before=2026-11-29T05:00:00Z~7", 422),
        ("/console/audit?before=yesterday~1", 422),
        ("/console/audit?before=0001-01-01T00:00:00%2B14:00~1", 422),
        ("/console/audit?since=yesterday", 422),
        ("/console/calls/999999", 404),
        ("/console/artifacts/999999", 404),
        ("/console/nowhere", 404),
        ("/console/audit.exe", 422),
        ("/console/static/..%2Fapp.py", 404),
    ],
)
async def test_an_address_that_leads_nowhere_says_so(
    visitor: httpx.AsyncClient, path: str, status: int
) -> None:
    page = await seen(visitor, path, status)
    assert 'role="alert"' in page
    assert "Traceback" not in page


async def test_an_empty_database_is_no_error(reader: AsyncEngine) -> None:
    async with browser_of(app_on(reader, Access(TOKEN)), Authorization=f"Bearer {TOKEN}") as asking:
        for path in ("", "sessions", "investigations", "figures", "knowledge", "audit", "audit?text=x"):
            assert 'class="nothing"' in await seen(asking, f"/console/{path}")
