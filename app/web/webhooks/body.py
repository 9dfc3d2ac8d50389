"""A request's body, read no further than any sender of ours needs."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

from app.web.webhooks.refusals import CutShort, TooLarge

LARGEST_BODY = 1024 * 1024
"""Bytes."""


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        TooLarge: more than `LARGEST_BODY` is announced, or comes.
        CutShort: the sender went away.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > LARGEST_BODY:
        raise TooLarge("The body is larger than 1 MiB.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise TooLarge("The body is larger than 1 MiB.")
    except ClientDisconnect:
        raise CutShort("The connection ended before the body did.") from None
    return bytes(body)
