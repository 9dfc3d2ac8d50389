"""Which MCP servers are taken, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import SettingsError
from app.sources.mcp_config import McpServer, changes, load

ROOT = Path(__file__).parents[2]


def written(folder: Path, **servers: Any) -> Path:
    path = folder / "mcp.yaml"
    path.write_text(yaml.safe_dump({"servers": servers}), encoding="utf-8")
    return path


def test_the_example_is_taken_and_names_readers_alone() -> None:
    variables = dict.fromkeys(("MCP_PAGERDUTY_KEY", "MCP_JIRA_TOKEN", "MCP_CONFLUENCE_TOKEN"), "x")
    found = load(ROOT / "docs" / "mcp.example.yaml", variables)

    assert [server.name for server in found.servers] == ["pagerduty", "atlassian"]
    assert not [tool for server in found.servers for tool in server.tools if changes(tool)]
    assert found.value("MCP_JIRA_TOKEN") == "x"


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("uvx", ["pagerduty-mcp==1.1.0"]),
        ("uvx", ["--from", "mcp-atlassian==0.23.1", "mcp-atlassian", "--read-only"]),
        ("npx", ["-y", "@modelcontextprotocol/server-memory@2026.1.14"]),
        ("pipx", ["run", "mcp-server-time==2026.10.19"]),
        ("docker", ["run", "-i", "--rm", "mcp/atlassian@sha256:" + "a" * 64]),
        ("/usr/local/bin/our-server", []),
        ("python", ["-m", "mcp_server_time"]),
    ],
)
def test_what_cannot_move_and_cannot_write_is_taken(command: str, args: list[str]) -> None:
    assert McpServer(name="x", command=command, args=tuple(args), tools=("get_x",)).command == command


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "uvx", "args": ["pagerduty-mcp"]}, "would fetch whatever is newest"),
        ({"command": "uvx", "args": ["pagerduty-mcp@latest"]}, "would fetch whatever is newest"),
        ({"command": "uvx", "args": ["pagerduty-mcp>=1"]}, "would fetch whatever is newest"),
        ({"command": "uvx", "args": ["--from", "git+https://x.example/y", "y"]}, "would fetch"),
        ({"command": "uvx", "args": ["--with", "evil", "pagerduty-mcp==1.1.0"]}, "would fetch"),
        ({"command": "uvx", "args": []}, "needs a package"),
        ({"command": "npx", "args": ["-y", "@acme/server"]}, "would fetch"),
        ({"command": "npx", "args": ["-y", "@acme/server@latest"]}, "would fetch"),
        ({"command": "npx", "args": ["-y", "@acme/server@^1.2.0"]}, "would fetch"),
        ({"command": "/opt/bin/npx", "args": ["server"]}, "would fetch"),
        ({"command": "uv", "args": ["tool", "run", "x==1"]}, "may fetch anything"),
        ({"command": "docker", "args": ["run", "mcp/atlassian:latest"]}, "by its digest"),
        ({"command": "bash", "args": ["-c", "uvx x==1"]}, "cannot be checked"),
        ({"command": "env", "args": ["uvx", "x==1"]}, "cannot be checked"),
        (
            {"command": "uvx", "args": ["pagerduty-mcp==1.1.0", "--enable-write-tools"]},
            "lets the server write",
        ),
        ({"command": "x", "args": ["--allow-write"]}, "lets the server write"),
        ({"command": "x", "args": ["--no-read-only"]}, "lets the server write"),
        ({"command": "x", "args": ["--read-only=false"]}, "lets the server write"),
        ({"command": "x", "settings": {"READ_ONLY_MODE": "false"}}, "lets the server write"),
        ({"command": "x", "settings": {"ENABLE_WRITE_TOOLS": "true"}}, "lets the server write"),
        ({"command": "x", "tools": []}, "at least 1 item"),
        ({"command": "x", "tools": ["*"]}, "not the name of one tool"),
        ({"command": "x", "tools": ["get_a", "create_incident"]}, "sounds as if it changed something"),
        ({"command": "x", "env": {"KEY": "SLACK_BOT_TOKEN"}}, "begins with MCP_"),
        ({"command": "x", "env": {"KEY": "pdus+abcdef"}}, "begins with MCP_"),
        ({"command": "x", "env": {"KEY": "MCP_UNSET"}}, "MCP_UNSET is named and not set"),
        ({"command": "x", "url": "https://x.example"}, "either a command or a url"),
        ({"url": "ftp://x.example"}, "must start with http"),
        ({"command": "x", "shell": True}, "shell"),
        ({"command": "x", "deadline_seconds": 3600}, "deadline_seconds"),
        ("x", "MCP_SERVERS: bad"),
    ],
)
def test_what_moves_writes_or_cannot_be_checked_is_refused(tmp_path: Path, entry: Any, said: str) -> None:
    entry = {"tools": ["get_x"], **entry} if isinstance(entry, dict) else entry
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, bad=entry), {})
    assert said in refused.value.sentence
    assert "pdus+abcdef" not in refused.value.sentence


@pytest.mark.parametrize("text", ["", "servers: 1", "[" * 50, "servers: {x: [}"])
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mcp.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="MCP_SERVERS"):
        load(path, {})
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "gone.yaml", {})


@pytest.mark.parametrize(
    ("tool", "changing"),
    [
        ("get_incident", False),
        ("jira_get_link_types", False),
        ("searchPages", False),
        ("resolve_incident", True),
        ("jira_add_comment", True),
        ("createPage", True),
        ("create_get_url", True),
        ("incident", False),
    ],
)
def test_the_first_verb_of_a_name_tells_what_it_does(tool: str, changing: bool) -> None:
    assert changes(tool) is changing
