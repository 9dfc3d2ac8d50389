"""The way the playground says no: with Slack's own error string."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import AgentError


class SlackRefusal(AgentError):
    """A call that Slack documents as refused.

    `error` is the string Slack answers in `{"ok": false, "error": …}`; `details` are the lines it puts into
    `response_metadata.messages`; `fields` are further top-level keys (`needed`, `provided`).
    """

    code = "slack_refusal"
    status = 200

    def __init__(self, error: str, *details: str, **fields: str) -> None:
        super().__init__("; ".join((error, *details)))
        self.error = error
        self.details: Sequence[str] = details
        self.fields = fields


class RateLimited(SlackRefusal):
    """More calls than the method's tier allows; `retry_after` in seconds, at least one."""

    code = "slack_rate_limited"
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after
