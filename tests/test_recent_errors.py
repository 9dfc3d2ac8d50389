"""What `/ops/errors` has to tell: what this process logged as a warning or worse, grouped and bounded."""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from app import telemetry
from app.errors import AgentError
from app.recent_errors import MOST_GROUPS, RecentErrors


class Broken(AgentError):
    code = "broken"


def event(name: str = "went_wrong", **more: Any) -> dict[str, Any]:
    return {"event": name, "level": "error", **more}


def test_errors_of_one_code_are_one_group_with_the_newest_words() -> None:
    now = [datetime(2026, 11, 21, tzinfo=UTC)]
    errors = RecentErrors(lambda: now[0])
    errors.note(event(code="broken", reason="first", trace_id="a"))
    now[0] += timedelta(minutes=1)
    errors.note(event(code="broken", reason="second", trace_id="b"))
    errors.note(event("queue_unreachable", level="warning"))
    errors.note(event("ready", level="info"))
    newest, older = errors.groups()
    assert (newest.code, newest.count, newest.level) == ("queue_unreachable", 1, "warning")
    assert (older.code, older.count, older.said, older.trace_id) == ("broken", 2, "second", "b")
    assert (older.last_at - older.first_at).total_seconds() == 60


def test_the_groups_are_bounded_and_the_oldest_go_first() -> None:
    errors = RecentErrors()
    for number in range(MOST_GROUPS + 10):
        errors.note(event(f"error {number}", reason="x" * 10_000))
    groups = errors.groups()
    assert len(groups) == MOST_GROUPS
    assert groups[-1].event == "error 10"
    assert all(len(each.said) <= 500 for each in groups)


@pytest.fixture
def lines() -> Any:
    """Logging as a process has it, into a text; as it was before afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("app")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    telemetry.set_up_logging("INFO", stream=stream)
    yield stream
    root.handlers[:], level, own = before
    root.setLevel(level)
    ours.setLevel(own)


def test_what_is_logged_is_remembered_masked(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = RecentErrors()
    monkeypatch.setattr(telemetry, "RECENT_ERRORS", errors)
    log = structlog.get_logger("app.test")
    try:
        raise Broken("api_key=abcdefgh12345678 was refused.")
    except Broken as error:
        log.error("turn_went_wrong", code=error.code, exc_info=error)
    (group,) = errors.groups()
    assert (group.code, group.event) == ("broken", "turn_went_wrong")
    assert "was refused" in group.said
    assert "abcdefgh12345678" not in group.said + lines.getvalue()


@pytest.mark.parametrize("fault", [BrokenPipeError("gone"), ValueError("I/O operation on closed file")])
def test_a_log_that_takes_nothing_any_more_stops_no_work(lines: io.StringIO, fault: Exception) -> None:
    class Gone(io.StringIO):
        def write(self, said: str) -> int:
            raise fault

    telemetry.set_up_logging("INFO", stream=Gone())
    structlog.get_logger("app.test").info("turn_began")
    assert lines.getvalue() == ""


def test_the_level_is_changed_while_it_runs_for_loggers_that_are_there_already(lines: io.StringIO) -> None:
    log = structlog.get_logger("app.test")
    log.debug("too quiet")
    assert telemetry.set_level("DEBUG") == "INFO"
    log.debug("heard")
    assert telemetry.set_level("ERROR") == "DEBUG"
    log.warning("not heard")
    assert telemetry.level() == "ERROR"
    said = lines.getvalue()
    assert "too quiet" not in said
    assert '"event": "heard"' in said
    assert "not heard" not in said
