"""Debian's Prometheus finds an alert, Debian's Alertmanager sends it, and it becomes a brief."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import INCIDENTS, TOKEN, told
from tests.sources.prometheus_server import PROMETHEUS, PROMTOOL, free_port, ready
from tests.web.webhooks.test_real_alertmanager import ALERTMANAGER, CONFIG

RULES = """
groups:
  - name: checkout
    interval: 500ms
    rules:
      - alert: HighErrorRate
        expr: >
          sum by (service) (rate(http_requests_total{status="500"}[5m]))
          / sum by (service) (rate(http_requests_total[5m])) > 0.05
        labels: {severity: critical}
        annotations: {summary: "checkout answers more than 5 % of requests with 5xx"}
"""
SETUP = """
global: {{evaluation_interval: 500ms}}
rule_files: ["{home}/rules.yml"]
alerting:
  alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]
"""
STEP = 15
BROKE = 20 * STEP
"""Seconds before now at which checkout began to fail."""


def need(*programs: Path) -> None:
    if missing := [each for each in programs if not each.exists()]:
        reason = f"not installed: {missing} (Debian's packages prometheus and prometheus-alertmanager)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def metrics(now: float) -> str:
    """An hour up to now of three services, of which checkout fails in one request of five since `BROKE`."""
    lines = ["# TYPE http_requests counter"]
    for service in ("checkout", "payments", "inventory"):
        for status in ("200", "500"):
            total = 0.0
            for step in range(241):
                at = now - 3600 + STEP * step
                failing = service == "checkout" and at > now - BROKE
                total += (30 if failing else 0.2) if status == "500" else 120
                labels = f'service="{service}",status="{status}",route="/pay"'
                lines.append(f"http_requests_total{{{labels}}} {total:.1f} {at:.0f}")
    return "\n".join([*lines, "# EOF", ""])


@asynccontextmanager
async def running(url: str, *command: str | Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command, f"--web.listen-address={url.removeprefix('http://')}", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await ready(url)
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_a_real_alert_becomes_a_brief(stack: Stack, tmp_path: Path) -> None:
    need(PROMETHEUS, PROMTOOL, ALERTMANAGER)
    prometheus, alertmanager = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    runtime = await stack.serve(
        INCIDENT_CHANNEL=INCIDENTS,
        ALERT_WEBHOOK_TOKEN=TOKEN,
        PROMETHEUS_URL=prometheus,
        SOURCE_DEADLINE_SECONDS="30",
    )
    (tmp_path / "metrics").write_text(metrics(time.time()))
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "prometheus.yml").write_text(
        SETUP.format(home=tmp_path, alertmanager=alertmanager.removeprefix("http://"))
    )
    (tmp_path / "alertmanager.yml").write_text(
        CONFIG.format(port=runtime.ports["PORT"], token=tmp_path / "token")
    )
    load = await asyncio.create_subprocess_exec(
        PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", tmp_path / "metrics", tmp_path / "data",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await load.wait() == 0
    async with (
        running(
            alertmanager,
            ALERTMANAGER,
            f"--config.file={tmp_path}/alertmanager.yml",
            f"--storage.path={tmp_path}/alerts",
            "--cluster.listen-address=",
        ),
        running(
            prometheus,
            PROMETHEUS,
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            # The first alert may come before Prometheus has found the Alertmanager.
            "--rules.alert.resend-delay=1s",
        ),
        asyncio.timeout(120),
    ):
        while await stack.rows("SELECT status FROM investigations") != [("done",)]:
            await asyncio.sleep(0.1)
    shown = told(stack.slack.channel(INCIDENTS))
    assert "checkout answers more than 5 % of requests with 5xx" in shown
    assert "Error rate of checkout rose from" in shown
    assert [(service, severity) for service, severity in await stack.rows(
        "SELECT service_name, severity FROM incidents"
    )] == [("checkout", "P1")]  # fmt: skip
    [(gathered,)] = await stack.rows("SELECT observations -> 'gathered' FROM investigations")
    assert [each["source"] for each in gathered["gaps"]] == ["not configured, so not looked at"]
