"""Who in the program can open a connection at all: a list, so that a new way out is thought about.

Each goes to an address of the settings. Data choose paths below those, through an allow-list; and, in the catalog
alone, the hosts of git repositories, which `app/context/reachable.py` looks at. Links in alerts, runbooks and
documents are shown to people and asked by nobody.
"""

from __future__ import annotations

import ast
from pathlib import Path

import app

ROOT = Path(app.__file__).parent
CLIENTS = {
    "aiohttp",
    "httpx",
    "httpx2",
    "requests",
    "urllib3",
    "urllib.request",
    "http.client",
    "socket",
    "github",
}
WAYS_OUT = {
    "agent/gathering.py": "the model's SDK, as below",
    "delivery/github.py": "GITHUB_API_URL, through a list of requests",
    "sources/bounded.py": "the transport of the cluster's client, with a limit on bytes",
    "sources/kubernetes_door.py": "the cluster of KUBERNETES",
    "storage/embedded.py": "our own PostgreSQL",
    "context/github.py": "GITHUB_API_URL; answers that lead to another host raise",
    "context/reachable.py": "asks names only",
    "delivery/notion.py": "NOTION_API_URL",
    "escalation/wire.py": "PAGERDUTY_API_URL, PAGERDUTY_EVENTS_URL",
    "operations/operations.py": "asks for its own name",
    "runtime.py": "listens",
    "slack/bolt.py": "SLACK_API_URL and the WebSocket it names",
    "slack/client.py": "SLACK_API_URL",
    "sources/http.py": "the addresses of the monitored systems; GET, on paths of an allow-list, no redirects",
    "web/server.py": "listens",
}
MORE = {
    "agent/models.py": "through the vendors' SDKs: ANTHROPIC_BASE_URL, OPENAI_BASE_URL, OLLAMA_BASE_URL",
    "context/bare.py": "git",
    "sources/kubernetes.py": "the cluster of KUBERNETES",
    "sources/mcp.py": "the servers of MCP_SERVERS",
}
"""Those that do so without one of the clients."""


def imports(file: Path) -> set[str]:
    """The network clients a module imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {client for client in CLIENTS for name in names if f"{name}.".startswith(f"{client}.")}
    return found


def test_only_those_on_the_list_reach_out() -> None:
    files = {file.relative_to(ROOT).as_posix(): file for file in ROOT.rglob("*.py")}
    reaching = {name for name, file in files.items() if imports(file) and not name.startswith("playground/")}
    assert reaching - set(MORE) == set(WAYS_OUT)
    assert set(MORE) <= set(files)
