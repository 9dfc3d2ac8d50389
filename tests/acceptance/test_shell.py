"""An investigation from a shell beside the whole program, on one database: neither touches the other's."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from app.settings import Settings
from app.terminal import payload
from app.terminal.investigate import Wanted, investigate
from app.terminal.screen import Screen
from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import INCIDENTS, incident


@pytest.mark.slow
async def test_what_is_asked_in_a_shell_is_shown_there_alone(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        settings = Settings.load(env_file=None, **stack.environment)
        url = settings.storage.database_url
        assert url
        wanted = Wanted(payload.understood(one.sim.alert("pagerduty"), datetime.now(UTC)))
        out = io.StringIO()
        assert await investigate(settings, url.get_secret_value(), wanted, Screen(out, io.StringIO()))

        # The page that comes then is one of its own, and the first of its kind.
        assert stack.slack.channel(INCIDENTS) == []
        assert (await one.page("pagerduty"))["status"] == "queued"
        await one.ended(2)
        waiting = "SELECT task_name FROM procrastinate_jobs WHERE status NOT IN ('succeeded', 'cancelled')"
        await one.becomes(waiting, [])
        assert len([each for each in stack.slack.channel(INCIDENTS) if not each.is_reply]) == 1
        assert "No model is configured" in out.getvalue()
        assert await stack.rows("SELECT status, attempt FROM investigations") == [("done", 2), ("done", 2)]
        assert one.written == []
