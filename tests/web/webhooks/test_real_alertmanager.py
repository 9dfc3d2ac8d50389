"""Debian's Alertmanager as a plain process: what it really sends is understood."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.web.server import WebServer, bind
from tests.sources.prometheus_server import free_port, ready
from tests.web.webhooks.stage import TOKEN, MemoryDoor
from tests.web.webhooks.test_route import app_of

ALERTMANAGER = Path("/usr/bin/prometheus-alertmanager")

CONFIG = """
route:
  receiver: sre-agent
  group_by: [alertname, service]
  group_wait: 100ms
  group_interval: 500ms
  repeat_interval: 1h
receivers:
  - name: sre-agent
    webhook_configs:
      - url: http://127.0.0.1:{port}/webhooks/alertmanager
        http_config:
          authorization: {{type: Bearer, credentials_file: {token}}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def door() -> MemoryDoor:
    return MemoryDoor()


@pytest.fixture
async def alertmanager(door: MemoryDoor, tmp_path: Path) -> AsyncIterator[str]:
    """The address of an Alertmanager whose alerts come to `door`."""
    if not ALERTMANAGER.exists():
        reason = f"no Alertmanager at {ALERTMANAGER} (Debian's package prometheus-alertmanager)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    server = WebServer(app_of(door, clock=lambda: datetime.now(UTC)), bind(0, "PORT", "127.0.0.1"))
    await server.start()
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "config.yml").write_text(CONFIG.format(port=server.port, token=tmp_path / "token"))
    url = f"http://127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        ALERTMANAGER, f"--config.file={tmp_path}/config.yml", f"--storage.path={tmp_path}/data",
        f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address=",
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await ready(url)
        yield url
    finally:
        process.terminate()
        await process.wait()
        await server.stop()


async def tell(url: str, *instances: str, ends: bool = False) -> None:
    started = datetime.now(UTC) - timedelta(minutes=3)
    alerts: list[dict[str, Any]] = [
        {
            "labels": {
                "alertname": "HighErrorRate",
                "service": "checkout",
                "severity": "critical",
                "instance": each,
            },
            "annotations": {"summary": "Too many errors"},
            "startsAt": started.isoformat(),
            "generatorURL": "http://prometheus.example/graph",
        }
        | ({"endsAt": (started + timedelta(minutes=2)).isoformat()} if ends else {})
        for each in instances
    ]
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/v2/alerts", json=alerts) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.05)


async def test_a_group_that_fires_and_resolves_is_one_incident(alertmanager: str, door: MemoryDoor) -> None:
    await tell(alertmanager, "one", "two")
    # What began before `group_wait` is sent with its first alert, the second being on its way or not: then the group
    # is sent again, of two.
    await until(
        lambda: any("instance=two" in each.annotations.get("instances", "") for each in door.accepted)
    )
    fired = door.accepted[-1]
    await tell(alertmanager, "one", "two", ends=True)
    await until(lambda: door.accepted[-1].status == "resolved")

    ended = door.accepted[-1]
    assert {each.status for each in door.accepted[:-1]} == {"firing"}
    assert {each.incident_key for each in door.accepted} == {ended.incident_key}
    assert (fired.name, fired.service, fired.severity) == ("HighErrorRate", "checkout", "P1")
    assert fired.title == "Too many errors (2 alerts)"
    assert fired.annotations["instances"] == "instance=one; instance=two"
    assert datetime.now(UTC) - fired.started_at > timedelta(minutes=2)
    assert door.rejected == []
