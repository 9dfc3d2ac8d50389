"""The playground in a terminal: type, watch the answer grow, go on in the thread."""

from __future__ import annotations

import asyncio
import html
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from app.playground.demo import Load, demo, told, who_answers
from app.playground.slack.records import Json, Message
from app.playground.slack.server import PlaygroundSlack
from app.playground.slack.workspace import Change

CHANNEL = "C0CHECKOUT"
PROMPT = "› "
ENDINGS = ("white_check_mark", "x")
LONGEST = 900.0
"""Seconds an answer may take; turns are retried for minutes when a model or the database is away."""
HELP = """\
  Type a question; what follows goes to the same thread.
  /new       begin a new thread
  /stop      press Stop while an answer grows (Ctrl-C does it too)
  /as NAME   go on as somebody else: {names}
  /good /bad press a thumb under the last answer
  /quit      end (so does Ctrl-D)
"""
EMOJI = {
    "information_source": "ℹ",
    "electric_plug": "🔌",
    "octagonal_sign": "🛑",
    "x": "❌",
    "warning": "⚠",
}


@dataclass
class Screen:
    """Prints a message while it grows: what is new at its end, or all of it when it was rewritten."""

    out: TextIO
    written: dict[str, str] = field(default_factory=dict)
    tasks: set[str] = field(default_factory=set)
    mid_line: bool = False

    def line(self, text: str) -> None:
        if self.mid_line:
            self.out.write("\n")
            self.mid_line = False
        self.out.write(text + "\n")
        self.out.flush()

    def grow(self, message: Message) -> None:
        self._steps(message)
        body, before = body_of(message), self.written.get(message.ts, "")
        if body == before:
            return
        if not body.startswith(before):
            self.line("  (rewritten)")
            before = ""
        self.out.write(body[len(before) :])
        self.out.flush()
        self.mid_line = not body.endswith("\n")
        self.written[message.ts] = body

    def _steps(self, message: Message) -> None:
        for block in message.blocks:
            for task in block.get("tasks", []) if block["type"] == "plan" else []:
                # The task that stands for the work as a whole says what the plan's title says.
                is_news = task["task_id"] not in self.tasks and task["title"] != block["title"]
                if is_news and task["status"] == "complete":
                    self.tasks.add(task["task_id"])
                    self.line(f"  · {task['title']}")

    def end(self, message: Message) -> None:
        """What stands below a finished answer."""
        self.grow(message)
        self.line("")
        for text in below(message):
            self.line(f"  {text}")


def body_of(message: Message) -> str:
    """The answer itself, as markdown."""
    found = [block["text"] for block in message.blocks if block["type"] == "markdown"]
    return html.unescape("\n".join(found)).replace("\u2060", "")


def below(message: Message) -> list[str]:
    """Small print, calls for people and errors under an answer, a line each."""
    return [
        readable(element["text"])
        for block in message.blocks
        if block["type"] in ("context", "section")
        for element in block.get("elements", [block.get("text")])
        if isinstance(element, dict) and isinstance(element.get("text"), str)
    ]


def readable(mrkdwn: str) -> str:
    """Slack's markup as a terminal shows it."""
    text = re.sub(r"<!subteam\^\w+>", "@sre-team", mrkdwn)
    text = re.sub(r"<([^<>|]+)\|([^<>]*)>", r"\2 (\1)", text)
    text = re.sub(r"<((?:https?|file):[^<>|]+)>", r"\1", text)
    text = re.sub(r":(\w+):", lambda found: EMOJI.get(found[1], found[0]), text)
    return html.unescape(text).replace("\u2060", "")


class Lines:
    """What is typed, line by line; None at the end. A thread reads, so pipes, files and terminals all do."""

    def __init__(self, source: TextIO) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._next: str | None = None
        self._has_next = False
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: TextIO) -> None:
        for line in iter(source.readline, ""):
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line)
        self._loop.call_soon_threadsafe(self._queue.put_nowait, None)

    async def peek(self) -> str | None:
        """The next line, which stays the next one."""
        if not self._has_next:
            self._next = await self._queue.get()
            self._has_next = True
        return self._next

    async def take(self) -> str | None:
        line = await self.peek()
        self._has_next = line is None  # the end stays the end
        return line


@dataclass
class Chat:
    """One person at a terminal, talking in #checkout-team."""

    slack: PlaygroundSlack
    screen: Screen
    lines: Lines
    user: str = "U0MAYA"
    thread_ts: str | None = None
    last: Message | None = None
    heard: set[str] = field(default_factory=set)
    """Who was answered in this thread."""
    answering: bool = False
    stopped: bool = False

    def __post_init__(self) -> None:
        self.slack.workspace.on_change.append(self._notice)

    def _notice(self, change: Change) -> None:
        message = change.item
        if change.kind != "message" or not isinstance(message, Message) or not message.bot_id:
            return
        if self.answering and message.root_ts == self.thread_ts and self._is_new(message):
            self.screen.grow(message)

    def _is_new(self, message: Message) -> bool:
        return self.last is None or message.ts > self.last.ts

    async def run(self, *, prompt: bool) -> None:
        """Until the lines end or somebody quits."""
        while True:
            if prompt:
                self.screen.out.write(f"\n{PROMPT}")
                self.screen.out.flush()
            line = await self.lines.take()
            words = (line or "/quit").strip()
            if words in ("/quit", "/exit"):
                return
            if not prompt and words:
                self.screen.line(f"\n{PROMPT}{words}")
            if words.startswith("/"):
                await self._command(*words[1:].split())
            elif words:
                await self.say(words)

    async def _command(self, name: str = "", *arguments: str) -> None:
        commands: dict[str, Callable[[], None]] = {
            "new": self._new,
            "stop": lambda: self.screen.line("  Nothing is being answered."),
            "good": lambda: self._thumb("positive_button"),
            "bad": lambda: self._thumb("negative_button"),
            "as": lambda: self._become(" ".join(arguments)),
            "help": lambda: self.screen.line(HELP.format(names=", ".join(self.names))),
        }
        known = commands.get(name)
        if known is None:
            self.screen.line(
                f"  There is no /{name}. " + " ".join(f"/{each}" for each in (*commands, "quit"))
            )
            return
        seen = len(self.slack.ephemeral(self.user))
        known()
        if name in ("good", "bad") and self.last:
            await self.slack.wait_for(lambda: len(self.slack.ephemeral(self.user)) > seen, 10)
            self.screen.line(f"  {readable(self.slack.ephemeral(self.user)[-1].text)}")

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.slack.workspace.users.values() if not each.is_bot]

    def _new(self) -> None:
        self.thread_ts = self.last = None
        self.heard.clear()
        self.screen.line("  The next message begins a new thread.")

    def _become(self, name: str) -> None:
        for user in self.slack.workspace.users.values():
            if name.lower() in (user.name, user.real_name.lower()) and not user.is_bot:
                self.user = user.id
                self.screen.line(f"  You are {user.real_name}, {user.title}.")
                return
        self.screen.line(f"  Nobody here is called {name or '…'}; there are {', '.join(self.names)}.")

    def _thumb(self, which: str) -> None:
        elements: list[Json] = [
            each for block in (self.last.blocks if self.last else []) for each in block.get("elements", [])
        ]
        thumbs = next((each for each in elements if each.get("type") == "feedback_buttons"), None)
        if self.last is None or thumbs is None:
            self.last = None
            self.screen.line("  There is no answer yet.")
            return
        self.slack.persons.click(self.user, self.last.ts, thumbs["action_id"], thumbs[which]["value"])

    # -- one question ------------------------------------------------------------------------------------

    async def say(self, words: str) -> None:
        """Ask, show the answer while it grows, and come back when it is complete."""
        began, refusals = self.thread_ts, len(self.slack.ephemeral(self.user))
        text = html.escape(words.removeprefix("@sre-agent").strip() or words, quote=False)
        # Who is not known to be answered in this thread says whom they mean, or silence may be the answer.
        mention = "" if began and self.user in self.heard else f"<@{self.slack.workspace.agent.id}> "
        self.answering, self.stopped = True, False
        ts = await self.slack.say(self.user, CHANNEL, mention + text, began)
        self.thread_ts = began or ts
        listening = asyncio.create_task(self._listen_for_stop())
        await self.slack.wait_for(lambda: self._is_over(ts, refusals), timeout=LONGEST)
        listening.cancel()
        for answer in filter(self._is_new, self._answers()):
            self.screen.end(answer)
        self.answering = False
        self.last = self._answers()[-1] if self._answers() else None
        self.heard.add(self.user)
        for refusal in self.slack.ephemeral(self.user)[refusals:]:
            self.screen.line(f"  (only you see this) {readable(refusal.text)}")
            self.thread_ts = began
            self.heard.discard(self.user)

    def _answers(self) -> list[Message]:
        return [each for each in self.slack.thread(CHANNEL, self.thread_ts or "") if each.bot_id]

    def _is_over(self, ts: str, refusals: int) -> bool:
        asked = next(each for each in self.slack.channel(CHANNEL) if each.ts == ts)
        if len(self.slack.ephemeral(self.user)) > refusals:
            return True
        if "eyes" in asked.reactions or self._is_processing():
            return False
        return self.stopped or any(ending in asked.reactions for ending in ENDINGS)

    def _is_processing(self) -> bool:
        session = self.slack.workspace.sessions.get((CHANNEL, self.thread_ts or ""))
        return session is not None and session.status == "processing"

    async def _listen_for_stop(self) -> None:
        """Of what is typed while an answer grows only /stop counts at once; the rest waits its turn."""
        while ((await self.lines.peek()) or "").strip() == "/stop":
            await self.lines.take()
            await self.stop()

    async def stop(self) -> None:
        """Press the Stop button, as soon as there is one."""
        await self.slack.wait_for(lambda: self._is_processing() or not self.answering, timeout=LONGEST)
        if self.answering and not self.stopped:
            self.stopped = True
            await self.slack.stop(self.user, CHANNEL, self.thread_ts or "")


async def talk(load: Load, *, home: Path, source: TextIO = sys.stdin, out: TextIO = sys.stdout) -> None:
    """Run a playground and talk with it until the lines of `source` end."""
    prompt = source.isatty()
    async with demo(load, home=home, progress=told) as running:
        print(f"\n  Answers {who_answers(running.settings.model)}.", file=out)
        print("  /help says what else there is. What would you like to know?", file=out, flush=True)
        chat = Chat(running.slack, Screen(out), Lines(source))
        talking = asyncio.create_task(chat.run(prompt=prompt))
        pressed: set[asyncio.Task[None]] = set()

        def interrupt() -> None:
            if chat.answering and not pressed:
                stopping = asyncio.create_task(chat.stop())
                pressed.add(stopping)
                stopping.add_done_callback(pressed.discard)
            else:
                talking.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        await asyncio.wait({talking})
        if not talking.cancelled():
            talking.result()
        print(file=out)
