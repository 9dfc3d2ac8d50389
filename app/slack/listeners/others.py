"""Everything else Slack may send: acknowledged, so that it is neither retried nor answered 404."""

from __future__ import annotations

import re
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

ANYTHING = re.compile(r".*")


def register(app: AsyncApp) -> None:
    async def ignore_event(event: dict[str, Any]) -> None:
        return None

    async def ignore(ack: AsyncAck) -> None:
        await ack()

    app.event(ANYTHING)(ignore_event)
    app.action(ANYTHING)(ignore)  # URL buttons send an action as well
    app.view(ANYTHING)(ignore)
    app.view_closed(ANYTHING)(ignore)
