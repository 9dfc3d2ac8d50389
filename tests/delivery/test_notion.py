"""A draft page on the wire: made once, whatever its length, below one page and nowhere else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import SecretStr

from app.delivery import notion
from app.delivery.models import Delivered, DeliveryFailed, File, Parcel, WriteRefused
from app.delivery.notion import DraftPages, Pages, client
from app.tools.masking import mask
from tests.fakes.notion import PARENT, TOKEN, FakeNotion
from tests.fakes.wire import Response, json_response

RUNBOOK = File(
    4,
    "runbooks/pool.md",
    "Runbook: PoolExhausted",
    "text/markdown",
    "# Pool\n\nLook at **it**.\n",
    ("owner",),
)
PARCEL = Parcel("T1/C1/1.0/7/1764400000.5", (RUNBOOK,), "https://acme.slack.com/archives/C1/p1")
TITLE = f"Runbook: PoolExhausted · draft {PARCEL.mark(RUNBOOK.id)}"
LONG = dataclasses.replace(RUNBOOK, content="\n".join(f"- step {number}" for number in range(450)))


def pages_at(server: FakeNotion, token: str = TOKEN) -> DraftPages:
    return DraftPages(server.url, PARENT, SecretStr(token), mask)


async def deliver(server: FakeNotion, parcel: Parcel = PARCEL) -> Delivered:
    way = pages_at(server)
    return await way.carry_out(parcel, await way.plan(parcel))


def text(block: dict[str, Any]) -> str:
    return "".join(each["text"]["content"] for each in block[block["type"]].get("rich_text", []))


async def test_a_page_below_the_one_that_is_configured() -> None:
    async with FakeNotion() as server:
        done = await deliver(server)

        [page] = server.pages
        assert page.title == TITLE
        assert [block["type"] for block in page.blocks] == ["quote", "heading_1", "paragraph"]
        assert "this conversation" in text(page.blocks[0])
        assert "Open, marked as TODO: 1" in text(page.blocks[0])
        assert done.link == f"https://www.notion.so/{page.id}"
        assert f"“{TITLE}”" in done.said


async def test_two_installations_below_one_page_write_on_no_page_of_the_other() -> None:
    other = dataclasses.replace(PARCEL, origin="T1/C1/1.0/7/1764400000.75")
    async with FakeNotion() as server:
        await deliver(server)
        await deliver(server, other)
        await deliver(server, other)

        assert [len(page.blocks) for page in server.pages] == [3, 3]
        assert len({page.title for page in server.pages}) == 2


async def test_more_than_a_hundred_blocks_are_sent_a_hundred_at_a_time() -> None:
    async with FakeNotion() as server:
        await deliver(server, dataclasses.replace(PARCEL, files=(LONG,)))

        [page] = server.pages
        assert [text(block) for block in page.blocks[1:]] == [f"step {number}" for number in range(450)]
        assert [each.method for each in server.requests] == ["GET", "POST", *["PATCH"] * 4]


@pytest.mark.parametrize("how", ["cut", "cut after"])
@pytest.mark.parametrize(("on", "nth"), [("POST", 0), ("PATCH", 0), ("PATCH", 2)])
async def test_broken_off_anywhere_it_goes_on_and_there_is_one(on: str, nth: int, how: str) -> None:
    parcel = dataclasses.replace(PARCEL, files=(LONG,))
    async with FakeNotion() as server:
        way = pages_at(server)
        plan = await way.plan(parcel)
        server.fails_on = on
        server.failures = [*["pass"] * nth, how]
        with pytest.raises(DeliveryFailed) as broken:
            await way.carry_out(parcel, plan)
        assert broken.value.passing
        done = await pages_at(server).carry_out(parcel, plan)

        [page] = server.pages
        assert [text(block) for block in page.blocks[1:]] == [f"step {number}" for number in range(450)]
        assert page.id.replace("-", "") in done.link.replace("-", "")


async def test_yaml_is_shown_as_code_and_each_file_has_a_page() -> None:
    slo = File(5, "slo/x.yaml", "SLOs", "application/yaml", "a: 1\n", faults=("line 1",))
    async with FakeNotion() as server:
        done = await deliver(server, dataclasses.replace(PARCEL, files=(RUNBOOK, slo)))

        assert [page.title for page in server.pages] == [TITLE, f"SLOs · draft {PARCEL.mark(5)}"]
        code = server.pages[1].blocks[-1]
        assert (code["type"], code["code"]["language"], text(code)) == ("code", "yaml", "a: 1")
        assert "not valid" in text(server.pages[1].blocks[0])
        assert "are in Notion" in done.said


@pytest.mark.parametrize(
    ("failures", "said", "passing"),
    [
        ([401], "check NOTION_TOKEN", False),
        ([403], "Insert content", False),
        ([404], "connect the integration to that page", False),
        ([429], "has limited our requests", True),
        ([409], "Somebody changed the page", True),
        ([400], "Notion refused it (400: Told by Notion.)", False),
        ([418], "Notion refused it (418: Told by Notion.)", False),
        ([Response(302, b"", {"location": "/v1/users"})], "Notion refused it (302: no reason given)", False),
        ([Response(200, b"<html>")], "is NOTION_API_URL its API?", False),
        ([Response(200, b"[" * 100_000)], "is NOTION_API_URL its API?", False),
        ([503], "Notion answered 503", True),
        (["cut"], "could not be reached", True),
    ],
)
async def test_what_notion_refuses_is_said(
    failures: list[int | str | Response], said: str, passing: bool
) -> None:
    async with FakeNotion() as server:
        server.failures = failures
        with pytest.raises(DeliveryFailed) as refused:
            await deliver(server)
        assert said in refused.value.sentence
        assert refused.value.passing is passing
        assert server.pages == []


async def test_a_limit_that_lasts_is_not_waited_for() -> None:
    async with FakeNotion() as server:
        server.failures, server.retry_after = [429], "120"
        with pytest.raises(DeliveryFailed) as refused:
            await deliver(server)
        assert not refused.value.passing


async def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notion, "MOST_BYTES", 1000)
    async with FakeNotion() as server:
        server.failures = [Response(200, b" " * 1001)]
        with pytest.raises(DeliveryFailed, match="more than 8 MiB"):
            await deliver(server)


async def test_a_page_with_an_odd_id_is_not_asked_for() -> None:
    listed = [{"id": "../users", "type": "child_page", "child_page": {"title": TITLE}}]
    async with FakeNotion() as server:
        server.failures = [json_response(200, {"results": listed, "has_more": False})]
        with pytest.raises(WriteRefused, match="Nothing was sent"):
            await deliver(server)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "asked",
    [
        lambda api: api.search(query="x"),
        lambda api: api.users.list(),
        lambda api: api.pages.update(OURS, archived=True),
        lambda api: api.pages.create(parent={"page_id": "c" * 32}, properties={}, children=[]),
        lambda api: api.pages.create(parent={"page_id": PARENT}, properties={}, markdown="x"),
        lambda api: api.blocks.delete(OURS),
        lambda api: api.blocks.children.append(PARENT, children=[]),
        lambda api: api.blocks.children.append(OURS, children=[], after="x"),
        lambda api: api.client.get("https://notion.example/v1/users"),
        lambda api: api.client.post("http://127.0.0.1:1/v1/pages", json=MADE),
    ],
)
async def test_notions_own_client_cannot_be_made_to_send_anything_else(asked: Any) -> None:
    async with FakeNotion() as server:
        api = client(server.url, SecretStr(TOKEN), Pages(PARENT, {OURS}))
        with pytest.raises(WriteRefused, match="Nothing was sent"):
            await asked(api)
        assert server.requests == []
        await api.aclose()


OURS = "b" * 32
MADE: dict[str, Any] = {"parent": {"page_id": PARENT}, "properties": {}, "children": []}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/pages", MADE),
        ("GET", f"/v1/blocks/{PARENT}/children", None),
        ("GET", f"/v1/blocks/{OURS}/children", None),
        ("PATCH", f"/v1/blocks/{OURS}/children", {"children": []}),
    ],
)
def test_what_a_draft_takes_may_be_asked(method: str, path: str, body: Any) -> None:
    pages = Pages(PARENT, {OURS})
    pages.check(method, path, body)
    assert pages.ours == {OURS}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/pages", {**MADE, "parent": {"page_id": "c" * 32}}),
        ("POST", "/v1/pages", {**MADE, "parent": {"database_id": PARENT}}),
        ("POST", "/v1/pages", {**MADE, "icon": {}}),
        ("PATCH", f"/v1/pages/{OURS}", {"archived": True}),
        ("PATCH", f"/v1/blocks/{PARENT}/children", {"children": []}),
        ("PATCH", f"/v1/blocks/{'c' * 32}/children", {"children": []}),
        ("PATCH", f"/v1/blocks/{OURS}", {"archived": True}),
        ("PATCH", f"/v1/blocks/{OURS}/children", {"children": [], "after": "x"}),
        ("PATCH", f"/v1/blocks/{OURS}/children", {}),
        ("DELETE", f"/v1/blocks/{OURS}", None),
        ("DELETE", f"/v1/blocks/{OURS}/children", None),
        ("GET", f"/v1/blocks/{'c' * 32}/children", None),
        ("GET", f"/v1/blocks/{OURS}/../{'c' * 32}/children", None),
        ("POST", "/v1/search", {}),
        ("GET", "/v1/users", None),
        ("POST", "/v1/databases", MADE),
        ("POST", f"/v1/pages/{PARENT}/children", MADE),
    ],
)
def test_nothing_else_may(method: str, path: str, body: Any) -> None:
    with pytest.raises(WriteRefused, match="Nothing was sent"):
        Pages(PARENT, {OURS}).check(method, path, body)
