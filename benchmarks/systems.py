"""The monitored systems of the benchmarks: what the simulated stack answers, recorded, for forty services.

    python -m benchmarks.systems FOLDER          prints the settings of an agent that asks them, as JSON

The first answer to a question is the simulated stack's; from then on the same bytes come again after a fixed
time, so that the program is measured and not the simulation. The services are eight copies of the example
organisation's five, with a number at their names; questions about a copy are answered with the recorded
bytes under its names. Lines, traces and objects are as long as real ones are (`enlarged`).

`POST /faults` sets `{"seconds": …, "hanging": [names]}`, `GET /sent` tells the bytes sent since the last
time, `GET /alert` is Alertmanager's page about the scenario.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from app.playground.stack import SimulatedStack
from app.playground.stack.stack import kubeconfig

SCENARIO = "bad-deploy"
NAMES = ("checkout", "payments", "inventory", "notifications", "reports")
COPIES = ("", "-02", "-03", "-04", "-05", "-06", "-07", "-08")
ASKED = ("prometheus", "loki", "tempo", "argocd", "kubernetes", "pagerduty")
SETTING = {
    "PROMETHEUS_URL": "prometheus",
    "LOKI_URL": "loki",
    "TEMPO_URL": "tempo",
    "ARGOCD_URL": "argocd",
    "PAGERDUTY_API_URL": "pagerduty",
}
TIMES = ("start", "end", "time", "since", "until")
"""Parameters that differ from question to question; what is recorded answers them all."""
NAME = re.compile(r"\b(" + "|".join(NAMES) + r")\b(?!-0\d\b)")
COPY = re.compile(r"\b(?:" + "|".join(NAMES) + r")(-0\d)\b")

FRAMES = "".join(
    f"\n\tat com.acme.{part}.Handler.handle({part.title()}Handler.java:{40 + 7 * number})"
    for number, part in enumerate(("web", "session", "cart", "pricing", "promotion", "ledger", "audit") * 2)
)
MANAGED = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsV1": {f"f:field-{number}": {".": {}, "f:lastProbeTime": {}} for number in range(60)},
}


@dataclass
class Recorded:
    """An answer of the simulated stack, under the names of each copy."""

    status: int
    content_type: str
    bodies: Mapping[str, bytes]


class Systems:
    """One address for each system; all in this process."""

    def __init__(self, stack: SimulatedStack) -> None:
        self._stack = stack
        self._recorded: dict[tuple[str, str, str], Recorded] = {}
        self._recording: defaultdict[tuple[str, str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._seconds = 0.0
        self._hanging: frozenset[str] = frozenset()
        self._sent = 0
        self._session: aiohttp.ClientSession | None = None
        self.urls: dict[str, str] = {}

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()
        for name in ASKED:
            self.urls[name] = await self._listen(name)
        self.urls["control"] = await self._listen("control")

    async def _listen(self, name: str) -> str:
        app = web.Application()
        if name == "control":
            app.router.add_post("/faults", self._set_faults)
            app.router.add_get("/sent", self._tell_sent)
            app.router.add_get("/alert", self._tell_alert)
        else:

            async def answer(request: web.Request) -> web.StreamResponse:
                return await self._answer(name, request)

            app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _answer(self, system: str, request: web.Request) -> web.StreamResponse:
        due = asyncio.get_running_loop().time() + self._seconds
        if system in self._hanging:
            await asyncio.Event().wait()
        copy = copy_of(request)
        recorded = await self._of(system, request)
        body = recorded.bodies[copy]
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        self._sent += len(body)
        return web.Response(body=body, status=recorded.status, content_type=recorded.content_type)

    async def _of(self, system: str, request: web.Request) -> Recorded:
        path = COPY.sub(_without_number, request.path)
        asked = [
            (name, COPY.sub(_without_number, value))
            for name, value in request.query.items()
            if name not in TIMES
        ]
        key = (system, path, json.dumps(asked))
        async with self._recording[key]:
            if key not in self._recorded:
                times = [(name, value) for name, value in request.query.items() if name in TIMES]
                self._recorded[key] = await self._record(system, path, [*asked, *times])
        return self._recorded[key]

    async def _record(self, system: str, path: str, asked: list[tuple[str, str]]) -> Recorded:
        assert self._session
        headers = {"Accept": "application/json"}
        address = self._stack.urls[system] + path
        async with self._session.get(address, params=asked, headers=headers) as answer:
            body = await answer.read()
            if answer.status == 200 and answer.content_type == "application/json":
                body = json.dumps(enlarged(json.loads(body), everything=not _names(path, asked))).encode()
            bodies = {copy: renamed(body, copy) for copy in COPIES}
            return Recorded(answer.status, answer.content_type, bodies)

    async def _set_faults(self, request: web.Request) -> web.Response:
        told = await request.json()
        self._seconds, self._hanging = float(told["seconds"]), frozenset(told["hanging"])
        return web.json_response({})

    async def _tell_sent(self, _: web.Request) -> web.Response:
        sent, self._sent = self._sent, 0
        return web.json_response(sent)

    async def _tell_alert(self, _: web.Request) -> web.Response:
        return web.json_response(self._stack.alert("alertmanager"))


# -- names ---------------------------------------------------------------------------------------------------


def copy_of(request: web.Request) -> str:
    """Which copy of the organisation a question is about; "" for the first, and for all of them."""
    found = COPY.search(request.path) or next(
        (match for value in request.query.values() if (match := COPY.search(value))), None
    )
    return found[1] if found else ""


def renamed(body: bytes, copy: str) -> bytes:
    return NAME.sub(rf"\g<1>{copy}", body.decode()).encode() if copy else body


def _without_number(match: re.Match[str]) -> str:
    return match[0].removesuffix(match[1])


def _names(path: str, asked: list[tuple[str, str]]) -> bool:
    return any(NAME.search(each) for each in (path, *(value for _, value in asked)))


# -- as much as real systems say -----------------------------------------------------------------------------


def enlarged(body: Any, *, everything: bool) -> Any:
    """Log lines with their stack traces, objects with the fields nobody reads; a list of everything there is
    (`everything`) names the objects of every copy."""
    if not isinstance(body, dict):
        return body
    if isinstance(found := body.get("data"), dict) and found.get("resultType") == "streams":
        for stream in found["result"]:
            stream["values"] = [[at, line_with_frames(line), *more] for at, line, *more in stream["values"]]
    if isinstance(items := body.get("items"), list):
        for each in items:
            if isinstance(each, dict) and isinstance(metadata := each.get("metadata"), dict):
                metadata["managedFields"] = [MANAGED]
        if everything:
            body["items"] = [json.loads(renamed(json.dumps(items).encode(), copy)) for copy in COPIES]
            body["items"] = [each for copy in body["items"] for each in copy]
    return body


def line_with_frames(line: str) -> str:
    return line.removesuffix("}") + (
        f', "stack": {json.dumps(FRAMES)}}}' if line.startswith("{") else f" {FRAMES}"
    )


# -- the catalog that fits -----------------------------------------------------------------------------------


def services() -> tuple[str, ...]:
    """All forty."""
    return tuple(f"{name}{copy}" for copy in COPIES for name in NAMES)


def catalog(original: Mapping[str, Any]) -> dict[str, Any]:
    """The example organisation's catalog once for each copy; aliases stay with the first."""
    return {"services": [_copied(each, copy) for copy in COPIES for each in original["services"]]}


def _copied(service: Mapping[str, Any], copy: str) -> dict[str, Any]:
    if not copy:
        return dict(service)
    return {
        **service,
        "name": service["name"] + copy,
        "aliases": [],
        "depends_on": [each + copy for each in service["depends_on"]],
    }


async def _serve(folder: Path) -> None:
    async with SimulatedStack(SCENARIO, clock=lambda: datetime.now(UTC)) as stack:
        systems = Systems(stack)
        await systems.start()
        cluster = folder / "kubeconfig"
        cluster.write_text(yaml.safe_dump(kubeconfig(systems.urls["kubernetes"])), "utf-8")
        settings = {name: systems.urls[system] for name, system in SETTING.items()}
        own = {"KUBERNETES": str(cluster), "PAGERDUTY_API_TOKEN": "of-the-fake"}
        told = {
            "control": systems.urls["control"],
            "settings": {
                **settings,
                **own,
                "PAGERDUTY_ESCALATION_POLICY_ID": stack.environment()["PAGERDUTY_ESCALATION_POLICY_ID"],
            },
        }
        print(json.dumps(told), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
