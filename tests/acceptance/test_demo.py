"""The demo as a newcomer meets it: the tour, the page's memory, the terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from app.playground import page_tour, tour, visit
from app.playground.demo import Demo, HomeTaken, PortTaken, console, demo, forget
from app.playground.pager import TALES, AgentAway, NothingGoesOn
from app.playground.slack.records import Message
from app.playground.stack import SCENARIOS, NoSuchScenario
from app.runtime import Runtime
from app.settings import Settings
from tests.acceptance.conftest import CHECKOUT, LAUNCH
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Reply

SLOW = Reply("The launch needs " + "a great many things, " * 200, tokens_per_second=20)


def load() -> Callable[[Settings], Runtime]:
    return Runtime


@asynccontextmanager
async def playing(home: Path, **values: Any) -> AsyncIterator[Demo]:
    async with demo(load, home=home, **{"MODEL_PROVIDER": "offline", **values}) as running:
        yield running


async def ask(running: Demo, words: str, thread_ts: str | None = None) -> visit.Exchange:
    return await visit.Tour(running).ask(words, thread_ts=thread_ts)


def environment(home: Path, **values: str) -> dict[str, str]:
    """Ours without anything of the machine's that would choose a model."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI"))}
    return {**ours, "SRE_AGENT_HOME": str(home), **values}


async def start(
    *arguments: str, environ: Mapping[str, str], **streams: int | None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", *arguments, env=environ, start_new_session=True, **streams
    )


async def end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@pytest.mark.slow
async def test_the_tour_holds_on_a_fresh_machine(tmp_path: Path) -> None:
    process = await start(
        "demo",
        "--once",
        environ=environment(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    said = (await process.stdout.read()).decode()
    assert await process.wait() == 0, said
    assert said.count("✓") == len(tour.STEPS)
    assert "Traceback" not in said
    log = [line for line in said.splitlines() if "{" in line and not line.startswith("INCIDENT_REPORT")]
    assert not log, "the log is for a file"


async def test_a_step_that_does_not_hold_says_what_was_expected_and_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def wrong(tour_: visit.Tour) -> None:
        """the agent knows the moon"""
        visit.says((await tour_.ask(LAUNCH)).last, "regolith")

    assert not await tour.take(load, home=tmp_path, steps=[wrong])
    said = capsys.readouterr().out
    assert "✗" in said
    assert "expected “regolith”" in said
    assert "saw      **No model took part" in said
    assert "0 of 1 steps held" in said


async def test_what_was_said_is_still_there_the_next_time_and_goes_on(tmp_path: Path) -> None:
    async with playing(tmp_path) as first:
        asked = await ask(first, LAUNCH)
    async with playing(tmp_path) as second:
        [question, answer] = second.slack.thread(CHECKOUT, asked.ts)
        assert (question.text, answer.text) == (LAUNCH, asked.last.text)
        later = await ask(second, "which timeout do we use towards payments?", asked.ts)
        assert len(later.answers) == 2


async def test_one_home_has_one_playground(tmp_path: Path) -> None:
    async with playing(tmp_path) as running:
        with pytest.raises(HomeTaken, match=running.slack.url):
            async with playing(tmp_path):
                pass
        with pytest.raises(HomeTaken):
            forget(tmp_path)
    forget(tmp_path)
    assert not tmp_path.exists()


async def test_a_port_somebody_has_is_told_and_the_usual_one_is_stepped_aside(tmp_path: Path) -> None:
    async with (
        playing(tmp_path / "first", port=None) as first,
        playing(tmp_path / "second", port=None) as second,
    ):
        assert first.slack.url != second.slack.url
        with pytest.raises(PortTaken, match="leave --port out"):
            async with playing(tmp_path / "third", port=int(first.slack.url.rpartition(":")[2])):
                pass


async def test_a_file_that_cannot_be_read_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "slack.json").write_text('{"channels": 3')
    async with playing(tmp_path) as running:
        assert running.slack.channel(CHECKOUT) == []


async def test_the_environments_installation_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/production",
        "KNOWLEDGE_PATH": "/nowhere",
        "SLACK_ALLOWED_CHANNELS": "C0ELSEWHERE",
        "SLACK_BOT_TOKEN": "xoxb-real",
    }.items():
        monkeypatch.setenv(name, value)
    async with playing(tmp_path) as running:
        assert len((await ask(running, LAUNCH)).answers) == 1


# -- being paged -----------------------------------------------------------------------------------------


def roots(running: Demo) -> list[Message]:
    """The headlines of incidents, oldest first."""
    found = running.slack.channel(page_tour.INCIDENTS)
    return [each for each in found if each.bot_id and not each.is_reply]


async def ends(running: Demo, number: int, state: str) -> None:
    await running.slack.wait_for(
        lambda: len(roots(running)) > number and roots(running)[number].text.endswith(f": {state}")
    )


def test_every_scenario_can_be_chosen_and_gives_nothing_away() -> None:
    assert TALES.keys() == SCENARIOS.keys()
    for name, tale in TALES.items():
        told = f"{tale.title} {tale.tells}".lower()
        truth = SCENARIOS[name].truth
        assert not [word for word in truth.must_find if word != truth.service and word.lower() in told]


@pytest.mark.parametrize("scenario", TALES)
async def test_every_scenario_becomes_a_final_brief_and_an_end(tmp_path: Path, scenario: str) -> None:
    async with playing(tmp_path) as running:
        assert (await running.pager.page(scenario))["status"] == "queued"
        await ends(running, 0, "evidence only")
        assert (await running.pager.over())["status"] == "joined"
        await ends(running, 0, "resolved")
        with pytest.raises(NothingGoesOn):
            await running.pager.over()
    [report] = (tmp_path / "incidents").iterdir()
    assert "## Timeline" in report.read_text()


async def test_a_second_page_ends_the_first_and_begins_a_thread_of_its_own(tmp_path: Path) -> None:
    async with playing(tmp_path) as running:
        await running.pager.page("bad-deploy")
        await ends(running, 0, "evidence only")
        await running.pager.page("pool-exhausted")
        await ends(running, 0, "resolved")
        await ends(running, 1, "evidence only")
        assert len(roots(running)) == 2


async def test_what_went_on_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with playing(tmp_path) as first:
        await first.pager.page("expired-certificate")
        await ends(first, 0, "evidence only")
        paged = first.pager.going_on
    async with playing(tmp_path) as second:
        assert second.pager.going_on == paged
        assert (await second.pager.over())["status"] == "joined"
        await ends(second, 0, "resolved")
    async with playing(tmp_path) as third:
        assert third.pager.going_on is None


async def test_a_page_nobody_takes_is_no_page(tmp_path: Path) -> None:
    async with playing(tmp_path) as running:
        with pytest.raises(NoSuchScenario, match="bad-deploy"):
            await running.pager.page("meteor")
        await running.stop()
        with pytest.raises(AgentAway):
            await running.pager.page("bad-deploy")
        assert running.pager.going_on is None


async def test_another_sites_page_cannot_page(tmp_path: Path) -> None:
    async with playing(tmp_path) as running, ClientSession(running.slack.url) as session:
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        body = {"scenario": "bad-deploy"}
        async with session.post("/playground/page", json=body, headers=elsewhere) as response:
            assert response.status == 403
        async with session.post("/playground/page", json={"scenario": "meteor"}) as response:
            assert response.status == 404
        async with session.post("/playground/page", json=[]) as response:
            assert response.status == 400
        assert running.pager.going_on is None


@pytest.mark.slow
@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path, name: signal.Signals) -> None:
    environ = environment(tmp_path)
    process = await start(
        "demo", "--no-browser", "--port", "0", environ=environ, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        said = ""
        while "Ctrl-C" not in said:
            said += (await asyncio.wait_for(process.stdout.readline(), 200)).decode()
        process.send_signal(name)
        said += (await asyncio.wait_for(process.stdout.read(), 60)).decode()
        assert await process.wait() == 0
        assert said.endswith("Ended.\n")
        assert "{" not in said
    finally:
        await end(process)


# -- in a terminal ---------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_chat_answers_what_comes_through_a_pipe(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await start("chat", environ=environment(tmp_path), stdin=pipe, stdout=pipe, stderr=pipe)
    typed = [
        "what do I need before we launch checkout?",
        "which timeout do we use towards payments?",
        "/good",
        "/stop",
        "/as gina",
        "and for me?",
        "/as nobody",
        "/as omar",
        "/new",
        "what does the checkin service need?",
        "/what",
    ]
    out, errors = await asyncio.wait_for(process.communicate("\n".join(typed).encode()), 200)
    said = out.decode()
    assert process.returncode == 0, errors.decode()
    for expected in (
        "services/checkout.md",
        "contracts/checkout-to-payments.md",
        "% sure",
        "noted as helpful",
        "Nothing is being answered.",
        "You are Gina",
        "(only you see this)",
        "Nobody here is called nobody; there are maya, omar, gina, sten.",
        "You are Omar Haddad",
        "There is no /what.",
    ):
        assert expected in said
    assert said.count("No model took part") == 3


class Terminal:
    """A pseudo-terminal with the chat in it."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.said = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.said += os.read(self._master, 65536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)
        self._more.set()

    def type(self, line: str) -> None:
        os.write(self._master, line.encode())

    async def sees(self, words: str, times: int = 1) -> None:
        try:
            async with asyncio.timeout(60):
                while self.said.count(words) < times:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            pytest.fail(f"{words!r} was not seen {times} times in:\n{self.said}")


@pytest.mark.slow
@pytest.mark.parametrize("press", ["/stop\n", "\x03"], ids=["stop", "ctrl-c"])
async def test_an_answer_grows_in_the_terminal_and_is_stopped(tmp_path: Path, press: str) -> None:
    async with FakeAnthropic(lambda _: SLOW) as model:
        environ = environment(
            tmp_path,
            ANTHROPIC_API_KEY="sk-ant-test",
            ANTHROPIC_BASE_URL=model.url,
            MODEL_PROVIDER="anthropic",
        )
        master, slave = pty.openpty()
        process = await start("chat", environ=environ, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        terminal = Terminal(master)
        try:
            await terminal.sees("are written by claude")
            await terminal.sees("› ")
            terminal.type("what do I need before we launch checkout?\n")
            await terminal.sees("The launch needs")
            await terminal.sees("a great many things", times=3)
            if press == "\x03":
                process.send_signal(signal.SIGINT)
            else:
                terminal.type(press)
            await terminal.sees("🛑 Stopped on request.")
            await terminal.sees("› ", times=2)
            terminal.type("/quit\n")
            assert await asyncio.wait_for(process.wait(), 60) == 0
            assert terminal.said.count("a great many things") < 200
        finally:
            await end(process)
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)


async def test_the_console_of_this_run_is_named_and_shows_what_was_asked(tmp_path: Path) -> None:
    async with playing(tmp_path, CONSOLE_TOKEN="a-token-for-this-run") as running:
        await ask(running, LAUNCH)
        said = console(running)
        address, token = said.split()[0], said.split()[-1]
        assert token == "a-token-for-this-run"
        async with ClientSession(headers={"Authorization": f"Bearer {token}"}) as browser:
            async with browser.get(address) as page:
                assert "before we launch checkout" in await page.text()
            async with browser.get(address + "audit.ndjson") as exported:
                assert '"action": "message"' in await exported.text()
        async with ClientSession() as stranger, stranger.get(address) as refused:
            assert refused.status == 401
