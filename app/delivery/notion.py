"""A draft page in Notion for what a conversation made: below one page, and nothing else is touched.

https://developers.notion.com/reference: post-page, patch-block-children, get-block-children.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr
from pydantic_core import from_json

from app.delivery.blocks import Block, blocks_of
from app.delivery.models import Delivered, DeliveryFailed, File, Parcel, Plan, WriteRefused

VERSION = "2022-06-28"
TIMEOUT = httpx.Timeout(20, connect=5)
MOST_BYTES = 8 * 1024 * 1024
MOST_BLOCKS = 100
"""Of one request; https://developers.notion.com/reference/request-limits."""
LARGEST_REQUEST = 400_000
"""Bytes; Notion takes 500 kB."""
MOST_PAGES = 200
LONGEST_WAIT_SECONDS = 5
"""Of a limit; after that a person may ask again."""
LONGEST_TITLE = 150
ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
PATH = re.compile(rf"/v1/(?P<what>pages|blocks)(?:/(?P<id>{ID.pattern})/children)?", re.IGNORECASE)


@dataclass
class Pages:
    """Which requests may be made: a page below `parent`, and what is on the pages that are ours."""

    parent: str
    ours: set[str] = field(default_factory=set)

    def check(self, method: str, path: str, body: Mapping[str, Any] | None) -> None:
        """Raises:
        WriteRefused: the request is not on the list; nothing was sent.
        """
        if not self._is_listed(method, path, body or {}):
            raise WriteRefused(f"{method} {path[:100]} is nothing that I may ask Notion. Nothing was sent.")

    def _is_listed(self, method: str, path: str, body: Mapping[str, Any]) -> bool:
        found = PATH.fullmatch(path)
        if found is None:
            return False
        asked = plain(found["id"] or "")
        if (method, found["what"], asked) == ("POST", "pages", ""):
            parent = (body.get("parent") or {}).get("page_id")
            return body.keys() <= {"parent", "properties", "children"} and plain(str(parent)) == self.parent
        if found["what"] != "blocks" or not asked:
            return False
        if method == "GET":
            return asked == self.parent or asked in self.ours
        return method == "PATCH" and asked in self.ours and body.keys() <= {"children"}


@dataclass(frozen=True)
class DraftPages:
    """Pages below the page `parent`, one a file. A page's title ends in the number of its artifact: that is
    how one that was begun is found again."""

    api_url: str
    parent: str
    token: SecretStr
    mask: Callable[[str], str]

    async def plan(self, parcel: Parcel) -> Plan:
        return Plan(plain(self.parent), tuple(self._title(file) for file in parcel.files))

    async def carry_out(self, parcel: Parcel, plan: Plan) -> Delivered:
        wire = _Wire(self.api_url.rstrip("/"), self.token, Pages(plan.target))
        async with wire:
            there = await self._there(wire, plan)
            links = []
            for file, title in zip(parcel.files, plan.names, strict=True):
                links.append(await self._page(wire, parcel, file, title, there.get(title)))
        names = ", ".join(f"“{name}”" for name in plan.names)
        page = "page" if len(links) == 1 else "pages"
        return Delivered(
            f"The draft {page} {names} {'is' if len(links) == 1 else 'are'} in Notion.", links[0]
        )

    def _title(self, file: File) -> str:
        return f"{self.mask(file.title)[:LONGEST_TITLE]} · draft {file.id}"

    async def _there(self, wire: _Wire, plan: Plan) -> dict[str, str]:
        """The pages of these titles that an earlier attempt has begun, by title."""
        children = await wire.children(plan.target)
        pages = [each for each in children if each.get("type") == "child_page"]
        found = {str((each.get("child_page") or {}).get("title")): str(each.get("id")) for each in pages}
        return {title: found[title] for title in plan.names if title in found}

    async def _page(self, wire: _Wire, parcel: Parcel, file: File, title: str, page_id: str | None) -> str:
        blocks = [*_about(parcel, file), *blocks_of(file.content, file.media_type)]
        if page_id is None:
            first = batch(blocks, 0)
            made = await wire.make(title, first)
            page_id, done, link = str(made.get("id")), len(first), str(made.get("url") or "")
        else:
            wire.pages.ours.add(plain(page_id))
            done, link = len(await wire.children(page_id)), ""
        while done < len(blocks):
            more = batch(blocks, done)
            await wire.append(page_id, more)
            done += len(more)
        return link or f"https://www.notion.so/{plain(page_id)}"


def _about(parcel: Parcel, file: File) -> list[Block]:
    where = f"[this conversation]({parcel.thread})" if parcel.thread else "a conversation"
    lines = [f"> A draft that SRE Agent made in {where}; people check it."]
    if file.todos:
        lines.append(f"> Open, marked as TODO: {len(file.todos)}.")
    if file.faults:
        lines.append(f"> It is not valid: {len(file.faults)} faults were told in the conversation.")
    return blocks_of("\n".join(lines))


def batch(blocks: list[Block], start: int) -> list[Block]:
    """The next blocks that go into one request."""
    taken: list[Block] = []
    size = 0
    for block in blocks[start : start + MOST_BLOCKS]:
        size += len(httpx.Request("POST", "http://x", json=block).content)
        if taken and size > LARGEST_REQUEST:
            break
        taken.append(block)
    return taken


def plain(page_id: str) -> str:
    """An id without dashes: Notion takes and gives both."""
    return page_id.replace("-", "").lower()


class _Wire:
    """The three requests; all raise `DeliveryFailed`."""

    def __init__(self, api_url: str, token: SecretStr, pages: Pages) -> None:
        self.pages = pages
        self._api_url = api_url
        headers = {"Authorization": f"Bearer {token.get_secret_value()}", "Notion-Version": VERSION}
        self._client = httpx.AsyncClient(timeout=TIMEOUT, headers=headers, follow_redirects=False)

    async def __aenter__(self) -> _Wire:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def make(self, title: str, children: list[Block]) -> Mapping[str, Any]:
        body = {
            "parent": {"page_id": self.pages.parent},
            "properties": {"title": {"title": [{"type": "text", "text": {"content": title}}]}},
            "children": children,
        }
        made = await self._send("POST", "/v1/pages", body)
        self.pages.ours.add(plain(str(made.get("id"))))
        return made

    async def append(self, page_id: str, children: list[Block]) -> None:
        await self._send("PATCH", f"/v1/blocks/{page_id}/children", {"children": children})

    async def children(self, page_id: str) -> list[Mapping[str, Any]]:
        """All blocks on a page, in order."""
        found: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(MOST_PAGES):
            query = "?page_size=100" + (f"&start_cursor={quote(cursor)}" if cursor else "")
            told = await self._send("GET", f"/v1/blocks/{page_id}/children", None, query)
            found += [each for each in told.get("results") or [] if isinstance(each, dict)]
            cursor = str(told.get("next_cursor") or "")
            if not told.get("has_more") or not cursor:
                return found
        raise DeliveryFailed("The page NOTION_PARENT_PAGE_ID has too much on it; take an empty one.")

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: str = ""
    ) -> Mapping[str, Any]:
        self.pages.check(method, path, body)
        url = f"{self._api_url}{path}{query}"
        try:
            async with self._client.stream(method, url, json=body) as response:
                raw = await _read(response)
        except httpx.TransportError as error:
            raise DeliveryFailed("Notion could not be reached.", passing=True) from error
        told = _told(raw)
        if not response.is_success:
            raise refusal(response.status_code, told, response.headers.get("retry-after", ""))
        return told


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise DeliveryFailed("Notion answered more than 8 MiB; is NOTION_API_URL its API?")
    return bytes(body)


def _told(raw: bytes) -> Mapping[str, Any]:
    try:
        told = from_json(raw) if raw.strip() else {}
    except ValueError:
        told = {}
    return told if isinstance(told, dict) else {}


def refusal(status: int, told: Mapping[str, Any], retry_after: str = "") -> DeliveryFailed:
    """Why Notion did not do it. https://developers.notion.com/reference/status-codes. Pure."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DeliveryFailed(f"Notion answered {status}.", passing=True)
    said = {
        HTTPStatus.TOO_MANY_REQUESTS: "Notion has limited our requests; ask again in a minute.",
        HTTPStatus.CONFLICT: "Somebody changed the page just now.",
        HTTPStatus.UNAUTHORIZED: "Notion does not know the token; check NOTION_TOKEN.",
        HTTPStatus.FORBIDDEN: "Notion refuses the write; the integration needs “Insert content”.",
        HTTPStatus.NOT_FOUND: "Notion shows NOTION_TOKEN no page NOTION_PARENT_PAGE_ID; connect the "
        "integration to that page.",
    }
    words = str(told.get("message") or "no reason given")[:300]
    soon = not retry_after.isdigit() or int(retry_after) <= LONGEST_WAIT_SECONDS
    return DeliveryFailed(
        said[HTTPStatus(status)] if status in said else f"Notion refused it ({status}: {words}).",
        passing=status == HTTPStatus.CONFLICT or (status == HTTPStatus.TOO_MANY_REQUESTS and soon),
    )
