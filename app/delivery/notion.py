"""A draft page in Notion for what a conversation made: below one page, and nothing else is touched.

https://developers.notion.com/reference: post-page, patch-block-children, get-block-children.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
from notion_client import AsyncClient
from notion_client.errors import HTTPResponseError, InvalidPathParameterError, RequestTimeoutError
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
OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that are no longer true of a body that was read."""
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
        return method == "PATCH" and asked in self.ours and body.keys() == {"children"}


@dataclass(frozen=True)
class DraftPages:
    """Pages below the page `parent`, one a file. A page's title ends in a mark of its artifact: that is how
    one that was begun is found again, and not that of another installation."""

    api_url: str
    parent: str
    token: SecretStr
    mask: Callable[[str], str]

    async def plan(self, parcel: Parcel) -> Plan:
        return Plan(plain(self.parent), tuple(self._title(parcel, file) for file in parcel.files))

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

    def _title(self, parcel: Parcel, file: File) -> str:
        return f"{self.mask(file.title)[:LONGEST_TITLE]} · draft {parcel.mark(file.id)}"

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


class _Only(httpx.AsyncClient):
    """Sends what is listed, follows nothing, and reads no more than `MOST_BYTES`, whichever function asks."""

    def __init__(self, api_url: str, pages: Pages) -> None:
        super().__init__(follow_redirects=False)
        self._api, self._pages = httpx.URL(api_url), pages

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        self._pages.check(request.method, self._path(request.url), _told(await request.aread()))
        response = await super().send(request, stream=True)
        try:
            body = await _read(response)
        finally:
            await response.aclose()
        plain_headers = {name: said for name, said in response.headers.items() if name not in OF_THE_WIRE}
        return httpx.Response(response.status_code, headers=plain_headers, content=body, request=request)

    def _path(self, url: httpx.URL) -> str:
        """As it goes out, below the API's address; the whole address for what is elsewhere."""
        path, top = url.raw_path.partition(b"?")[0].decode("ascii"), self._api.path.rstrip("/")
        is_there = (url.scheme, url.netloc) == (self._api.scheme, self._api.netloc) and path.startswith(top)
        return path[len(top) :] if is_there else str(url)


def client(api_url: str, token: SecretStr, pages: Pages) -> AsyncClient:
    """Notion's own client, which can ask for nothing but what `pages` lists. What fails is tried again by
    whoever delivers, who knows whether there is time."""
    http = _Only(api_url, pages)
    made = AsyncClient(
        client=http,
        auth=token.get_secret_value(),
        base_url=api_url,
        notion_version=VERSION,
        retry=False,
        logger=logging.getLogger(__name__),
        log_level=logging.CRITICAL,
    )
    http.timeout = TIMEOUT
    return made


class _Wire:
    """The three requests; all raise `DeliveryFailed`."""

    def __init__(self, api_url: str, token: SecretStr, pages: Pages) -> None:
        self.pages = pages
        self._notion = client(api_url, token, pages)

    async def __aenter__(self) -> _Wire:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._notion.aclose()

    async def make(self, title: str, children: list[Block]) -> Mapping[str, Any]:
        made = await _told_by(
            self._notion.pages.create(
                parent={"page_id": self.pages.parent},
                properties={"title": {"title": [{"type": "text", "text": {"content": title}}]}},
                children=children,
            )
        )
        self.pages.ours.add(plain(str(made.get("id"))))
        return made

    async def append(self, page_id: str, children: list[Block]) -> None:
        await _told_by(self._notion.blocks.children.append(page_id, children=children))

    async def children(self, page_id: str) -> list[Mapping[str, Any]]:
        """All blocks on a page, in order."""
        found: list[Mapping[str, Any]] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            asked = self._notion.blocks.children.list(page_id, page_size=100, start_cursor=cursor)
            told = await _told_by(asked)
            found += [each for each in told.get("results") or [] if isinstance(each, dict)]
            cursor = str(told.get("next_cursor") or "") or None
            if not told.get("has_more") or cursor is None:
                return found
        raise DeliveryFailed("The page NOTION_PARENT_PAGE_ID has too much on it; take an empty one.")


async def _told_by(answer: Any) -> Mapping[str, Any]:
    try:
        told = await answer
    except (httpx.TransportError, RequestTimeoutError) as error:
        raise DeliveryFailed("Notion could not be reached.", passing=True) from error
    except HTTPResponseError as error:
        said = _told(error.body.encode())
        raise refusal(error.status, said, error.headers.get("retry-after", "")) from error
    except InvalidPathParameterError as error:
        raise WriteRefused("Notion named a page by what is no id. Nothing was sent.") from error
    except (ValueError, RecursionError) as error:
        raise DeliveryFailed("Notion answered no JSON; is NOTION_API_URL its API?") from error
    return told if isinstance(told, dict) else {}


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
