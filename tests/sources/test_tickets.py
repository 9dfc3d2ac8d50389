"""Tickets as a server's search tells them, and what goes into the search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.sources.mcp_config import Unreadable, load
from app.sources.tickets import filled, tickets_of

JIRA = {
    "issues": [{"key": "OPS-12", "fields": {"summary": "Pool full"}}, {"key": "OPS-9", "summary": "Slow"}]
}
GITHUB = [{"number": 41, "title": "Retry less", "user": {"login": "maya"}}]


@pytest.mark.parametrize(
    ("answer", "tickets"),
    [
        (json.dumps(JIRA), ("OPS-12: Pool full", "OPS-9: Slow")),
        (json.dumps(GITHUB), ("#41: Retry less",)),
        ("Found 2:\nOPS-1: slow\n OPS-2  is down\nthe end", ("OPS-1: slow", "OPS-2 is down")),
        (json.dumps({"total": 0, "issues": []}), ()),
        ("[" * 100_000, ()),
        ("", ()),
    ],
    ids=["jira", "github", "lines", "none", "hostile", "empty"],
)
def test_a_ticket_is_its_key_and_its_title(answer: str, tickets: tuple[str, ...]) -> None:
    assert tickets_of(answer) == tickets


def test_no_more_are_told_than_people_read() -> None:
    assert len(tickets_of("\n".join(f"OPS-{number}: slow" for number in range(50)))) == 5


def test_what_is_filled_in_cannot_leave_its_quotes() -> None:
    arguments = {"jql": 'text ~ "$service" AND x = "$alert"', "limit": 5}
    hostile = 'checkout" OR project = "HR\\'
    assert filled(arguments, service=hostile, alert="$service") == {
        "jql": 'text ~ "checkout OR project HR" AND x = "service"',
        "limit": 5,
    }


SERVER = {"url": "https://mcp.acme.example", "tools": ["jira_search"]}


@pytest.mark.parametrize(
    ("tickets", "problem"),
    [
        ({"server": "jira", "tool": "jira_delete", "arguments": {"q": "$service"}}, "not among the tools"),
        ({"server": "other", "tool": "jira_search", "arguments": {"q": "$service"}}, "not among the tools"),
        ({"server": "jira", "tool": "jira_search", "arguments": {"q": "all"}}, "must have $service"),
        ({"server": "jira", "tool": "jira_search"}, "arguments"),
        ("jira", "tickets"),
    ],
)
def test_a_search_that_cannot_be_or_may_not_be_stops_the_start(
    tmp_path: Path, tickets: Any, problem: str
) -> None:
    path = tmp_path / "mcp.yaml"
    path.write_text(yaml.safe_dump({"servers": {"jira": SERVER}, "tickets": tickets}))
    with pytest.raises(Unreadable) as refused:
        load(path, {})
    assert problem in str(refused.value)


def test_the_example_has_one(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "docs/mcp.example.yaml"
    named = dict.fromkeys(("MCP_PAGERDUTY_KEY", "MCP_JIRA_TOKEN", "MCP_CONFLUENCE_TOKEN"), "x")
    search = load(example, named).tickets
    assert search is not None
    assert (search.server, search.tool) == ("atlassian", "jira_search")
