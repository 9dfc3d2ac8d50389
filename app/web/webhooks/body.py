"""A request's body, read no further than any sender of ours needs."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from app.web.webhooks.refusals import CutShort, TooLarge

LARGEST_BODY = 1024 * 1024
"""Bytes."""
LONGEST_SECONDS = 20.0
"""How long a body may take; who sends it is not known before its end."""


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        TooLarge: more than `LARGEST_BODY` is announced, or comes.
        CutShort: the sender went away, or takes for ever.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > LARGEST_BODY:
        raise TooLarge("The body is larger than 1 MiB.")
    body = bytearray()
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise TooLarge("The body is larger than 1 MiB.")
    except TimeoutError:
        raise CutShort(f"The body did not come within {LONGEST_SECONDS:g} seconds.") from None
    except ClientDisconnect:
        raise CutShort("The connection ended before the body did.") from None
    return bytes(body)
