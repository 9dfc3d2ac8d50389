"""`python -m app.playground.stack --scenario bad-deploy`: the stack as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from datetime import UTC, datetime

from app.playground.stack import SCENARIOS, SimulatedStack


async def _serve(scenario: str | None, seed: int) -> None:
    async with SimulatedStack(scenario, clock=lambda: datetime.now(UTC), seed=seed) as stack:
        alert = stack.alert() if scenario else None
        # One line that scripts can parse, then some that people can click.
        print(
            json.dumps({"urls": stack.urls, "environment": stack.environment(), "alert": alert}), flush=True
        )
        for name, url in stack.urls.items():
            print(f"{name:<12}{url}", flush=True)
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulated systems that tell one incident.")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="a quiet day without it")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(_serve(given.scenario, given.seed))


if __name__ == "__main__":
    main()
