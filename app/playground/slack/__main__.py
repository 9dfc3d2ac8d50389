"""`python -m app.playground.slack`: the playground as a process of its own, until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from app.playground.slack.server import PlaygroundSlack


async def _serve(port: int, events_url: str | None) -> None:
    async with PlaygroundSlack(port=port, events_url=events_url) as slack:
        # One line that scripts can parse, then one that people can click.
        print(json.dumps({"url": slack.url, "environment": slack.environment}), flush=True)
        print(f"The playground is at {slack.url}", flush=True)
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A Slack-shaped server with a page in the browser.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--events-url", help="deliver events over signed HTTP to this address")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, given.events_url))


if __name__ == "__main__":
    main()
