"""A Notion on the wire: one page that is shared with the integration, pages below it, and its limits.

Shaped after developers.notion.com/reference: post-page, patch-block-children, get-block-children,
request-limits and status-codes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from tests.fakes.wire import CutConnection, Request, Response, WireServer, json_response

TOKEN = "ntn-token-of-tests"
PARENT = "0123456789abcdef0123456789abcdef"
LISTED_AT_ONCE = 100
KINDS = {
    *("paragraph", "heading_1", "heading_2", "heading_3", "bulleted_list_item", "numbered_list_item"),
    *("to_do", "quote", "code", "divider", "table", "table_row"),
}


@dataclass
class Page:
    id: str
    title: str
    blocks: list[dict[str, Any]] = field(default_factory=list)


CODES = {
    400: "validation_error",
    401: "unauthorized",
    403: "restricted_resource",
    404: "object_not_found",
    409: "conflict_error",
    429: "rate_limited",
    500: "internal_server_error",
    503: "service_unavailable",
}


class FakeNotion:
    """`failures` are taken one a request that `fails_on` (method and path) matches: a status, "cut",
    "cut after", or a response."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.requests: list[Request] = []
        self.failures: list[int | str | Response] = []
        self.fails_on = ""
        self.retry_after = "1"
        self.shared = True
        self._server = WireServer(self.handle)

    @property
    def url(self) -> str:
        return self._server.url

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        failure: int | str | Response | None = None
        if self.failures and f"{request.method} {request.path}".startswith(self.fails_on):
            failure = self.failures.pop(0)
        if failure == "cut":
            raise CutConnection
        if isinstance(failure, int):
            return refused(failure, CODES.get(failure, "not_in_any_list"), self.retry_after)
        if isinstance(failure, Response):
            return failure
        answer = self.answer(request)
        if failure == "cut after":
            raise CutConnection
        return answer

    def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused(401, "unauthorized")
        if request.headers.get("notion-version") != "2022-06-28":
            return refused(400, "validation_error")
        if len(request.body) > 500_000:
            return refused(413, "validation_error")
        return self.routed(request)

    def routed(self, request: Request) -> Response:
        if (request.method, request.path) == ("POST", "/v1/pages"):
            return self.make(request.json())
        page_id = plain(request.path.removeprefix("/v1/blocks/").removesuffix("/children"))
        if request.method == "GET":
            return self.children(request, page_id)
        page = next((each for each in self.pages if plain(each.id) == page_id), None)
        if request.method != "PATCH" or page is None:
            return refused(404, "object_not_found")
        if wrong := what_is_wrong(children := request.json()["children"]):
            return refused(400, "validation_error", words=wrong)
        page.blocks += children
        return json_response(200, {"object": "list", "results": children})

    def make(self, asked: dict[str, Any]) -> Response:
        if plain(asked["parent"]["page_id"]) != PARENT or not self.shared:
            return refused(404, "object_not_found")
        if wrong := what_is_wrong(asked["children"]):
            return refused(400, "validation_error", words=wrong)
        number = len(self.pages) + 1
        page = Page(
            f"aaaaaaaa-bbbb-cccc-dddd-{number:012d}",
            "".join(each["text"]["content"] for each in asked["properties"]["title"]["title"]),
            list(asked["children"]),
        )
        self.pages.append(page)
        return json_response(
            200, {"object": "page", "id": page.id, "url": f"https://www.notion.so/{page.id}"}
        )

    def children(self, request: Request, page_id: str) -> Response:
        if page_id == PARENT and self.shared:
            found: list[dict[str, Any]] = [
                {"id": page.id, "type": "child_page", "child_page": {"title": page.title}}
                for page in self.pages
            ]
        elif (page := next((each for each in self.pages if plain(each.id) == page_id), None)) is not None:
            found = page.blocks
        else:
            return refused(404, "object_not_found")
        start = int(parse_qs(request.query).get("start_cursor", ["0"])[0])
        end = start + LISTED_AT_ONCE
        more = end < len(found)
        return json_response(
            200,
            {
                "results": found[start:end],
                "has_more": more,
                "next_cursor": str(end) if more else None,
            },
        )


def what_is_wrong(children: list[dict[str, Any]]) -> str:
    """Why Notion would not take these blocks; "" when it would."""
    if len(children) > 100:
        return f"body.children.length should be ≤ `100`, instead was `{len(children)}`."
    for block in children:
        kind = block["type"]
        if kind not in KINDS or kind not in block:
            return f"{kind} is no block"
        content = block[kind]
        texts = [content.get("rich_text", []), *content.get("cells", [])]
        for pieces in texts:
            if len(pieces) > 100:
                return "rich_text.length should be ≤ `100`"
            if any(len(each["text"]["content"].encode("utf-16-le")) > 4000 for each in pieces):
                return "text.content.length should be ≤ `2000`"
        if wrong := what_is_wrong(content.get("children", [])):
            return wrong
    return ""


def plain(page_id: str) -> str:
    return page_id.replace("-", "").lower()


def refused(status: int, code: str, retry_after: str = "", words: str = "Told by Notion.") -> Response:
    headers = {"retry-after": retry_after} if status == 429 else {}
    return json_response(
        status, {"object": "error", "status": status, "code": code, "message": words}, headers
    )
