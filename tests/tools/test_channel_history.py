"""What people said around a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from app.context.library import Library
from app.errors import AgentError
from app.storage.tree import Tree
from app.tools import channel_history
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.channel_history import Said
from app.tools.execute import Executed, execute

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT = NOON.timestamp()


@dataclass
class Slack:
    """Channels by name; `asked` is what was read."""

    channels: dict[str, list[Said]]
    incident_channel: str | None = "C0INC"
    asked: list[tuple[str, float, float, int]] = field(default_factory=list)

    async def said(self, channel: str, start: float, end: float, limit: int) -> Sequence[Said]:
        self.asked.append((channel, start, end, limit))
        if channel not in self.channels:
            raise AgentError(f"{channel} may not be read.")
        return [each for each in self.channels[channel] if start <= each.at <= end]


class Catalog:
    async def refresh(self) -> Tree:
        return Tree("r1", {"services.yaml": "services:\n- {name: checkout, slack_channel: '#shop'}\n"})

    async def tree_at(self, revision: str) -> Tree | None:
        return None


async def ask(slack: Slack, service: str | None = "checkout", **arguments: Any) -> Executed:
    library = Library(Catalog())
    await library.refresh()
    made = channel_history.tool(SimpleNamespace(channels=slack, library=library))
    assert made is not None
    scope = ToolScope(service=service, clock=lambda: NOON)
    return await execute(Catalogue([made]), "channel_history", arguments, scope=scope, limit_bytes=4096)


async def test_both_channels_are_read_newest_first_with_secrets_masked() -> None:
    slack = Slack(
        {
            "C0INC": [Said(AT - 60, "maya", "password=hunter2 works", "https://slack.example/1")],
            "shop": [Said(AT - 600, "jonas", "Turning the\nflag on"), Said(AT - 9000, "x", "too old")],
        }
    )
    done = await ask(slack)

    assert done.text.splitlines() == [
        "2 messages, 2026-11-20 11:00:00–12:00:00 UTC, newest first:",
        "- 11-20 11:59:00 C0INC maya: password=[masked secret] works",
        "- 11-20 11:50:00 shop jonas: Turning the flag on",
    ]
    assert done.sources[0].url == "https://slack.example/1"


async def test_a_time_in_the_past_is_asked_for() -> None:
    slack = Slack({"C0INC": [], "shop": []})
    done = await ask(slack, minutes=10, until="2026-11-20T10:00:00Z")

    assert done.text == "0 messages, 2026-11-20 09:50:00–10:00:00 UTC."
    assert slack.asked[0] == ("C0INC", AT - 7800, AT - 7200, 100)


async def test_a_channel_that_may_not_be_read_is_told_beside_the_other() -> None:
    done = await ask(Slack({"C0INC": [Said(AT, "maya", "hello")]}))
    assert done.text.startswith("shop may not be read.\n1 message,")
    assert (await ask(Slack({}))).failed


async def test_the_model_cannot_name_a_channel() -> None:
    assert "channel" not in channel_history.ChannelHistory.model_fields
    slack = Slack({"C0INC": []}, incident_channel=None)
    done = await ask(slack, "payments")
    assert done.failed
    assert "No channel is known" in done.text
    assert slack.asked == []


def test_without_slack_the_tool_is_not_offered() -> None:
    assert channel_history.tool(object()) is None
