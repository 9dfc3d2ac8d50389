"""Debian's Prometheus as a plain process over metrics that are loaded with promtool."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

PROMETHEUS = Path("/usr/bin/prometheus")
PROMTOOL = Path("/usr/bin/promtool")

START = 1_763_715_600.0
"""2025-11-21 09:00 UTC; the data runs for an hour from here, a point every 15 s."""
END = START + 3600
BROKE = START + 2700
"""When checkout begins to fail."""


def need_prometheus() -> None:
    """Skip where it is not installed, fail where everything should be."""
    if PROMETHEUS.exists() and PROMTOOL.exists():
        return
    reason = f"no Prometheus at {PROMETHEUS} (Debian's package prometheus)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def openmetrics() -> str:
    """Fourteen services with steady traffic, of which checkout fails from `BROKE` on; a gauge that is NaN."""
    lines = ["# TYPE http_requests counter"]
    for service in ["checkout", *(f"svc-{n:02}" for n in range(13))]:
        for status in ("200", "500"):
            total = 0.0
            for step in range(241):
                at = START + 15 * step
                failing = service == "checkout" and at > BROKE
                total += (30 if failing else 0.3) if status == "500" else 150
                labels = f'service="{service}",status="{status}",route="/pay"'
                lines.append(f"http_requests_total{{{labels}}} {total:.1f} {at:.0f}")
    lines.append("# TYPE odd gauge")
    lines += [f'odd{{kind="nan"}} NaN {START + 15 * step:.0f}' for step in range(241)]
    lines += [f'odd{{kind="inf"}} +Inf {START + 15 * step:.0f}' for step in range(241)]
    lines.append("# TYPE pool_in_use gauge")
    lines += [f'pool_in_use{{job="db"}} {5 + step % 3} {START + 15 * step:.0f}' for step in range(241)]
    return "\n".join([*lines, "# EOF", ""])


@asynccontextmanager
async def prometheus_server() -> AsyncIterator[str]:
    """The address of a Prometheus that has `openmetrics()` and one alerting rule."""
    need_prometheus()
    home = Path(tempfile.mkdtemp(prefix="prometheus-"))
    (home / "metrics").write_text(openmetrics())
    (home / "rules.yml").write_text(RULES)
    (home / "prometheus.yml").write_text(f"rule_files: [{home}/rules.yml]\n")
    load = await asyncio.create_subprocess_exec(
        PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", home / "metrics", home / "data",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await load.wait() == 0
    url = f"http://127.0.0.1:{free_port()}"
    server = await asyncio.create_subprocess_exec(
        PROMETHEUS, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address={url.removeprefix('http://')}",
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await ready(url)
        yield url
    finally:
        server.terminate()
        await server.wait()
        shutil.rmtree(home)


RULES = """
groups:
  - name: checkout
    rules:
      - alert: HighErrorRate
        expr: rate(http_requests_total{status="500"}[5m]) > 0.05
        labels: {severity: critical}
        annotations: {summary: "Too many errors"}
"""


def free_port() -> int:
    """One that nobody has, of those that no system gives to connections by itself meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def ready(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            try:
                async with session.get(f"{url}/-/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError("Prometheus does not get ready")


@pytest.fixture(scope="session")
async def prometheus_url() -> AsyncIterator[str]:
    async with prometheus_server() as url:
        yield url
