"""What `sre-agent investigate` shows: its steps on stderr; the briefs, or one JSON document, on stdout."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TextIO

from app.investigations.surface import Headline, Told
from app.terminal import words

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

State = Literal["running", "done", "failed"]
SIGNS: dict[State, str] = {"running": "·", "done": "✓", "failed": "✗"}
PIPED_WIDTH = 100


@dataclass
class Step:
    words: str
    began: float
    state: State = "running"
    took: float | None = None

    def __str__(self) -> str:
        took = f"  {self.took:.1f} s" if self.took is not None else ""
        return f"{SIGNS[self.state]} {self.words}{took}"


@dataclass
class Screen:
    """A person's terminal, or a pipe. Steps are redrawn in place on a terminal, and lines elsewhere."""

    out: TextIO
    err: TextIO
    as_json: bool = False
    clock: Callable[[], float] = time.monotonic
    _steps: dict[str, Step] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _live: Live | None = None

    # -- steps ---------------------------------------------------------------------------------------------

    def begin(self, key: str, text: str) -> None:
        """A step has begun; one that runs already goes on."""
        if key in self._steps and self._steps[key].state == "running":
            return
        self._steps[key] = Step(words.said(text, 200), self.clock())
        self._draw()

    def begin_once(self, key: str, text: str) -> None:
        """As `begin`, but a step that is over is not begun again."""
        if key not in self._begun:
            self._begun.add(key)
            self.begin(key, text)

    def end(self, key: str, text: str | None = None, *, failed: bool = False) -> None:
        """A step is over; nothing happens when it is so already."""
        step = self._steps.get(key)
        if step is None or step.state != "running":
            return
        step.state, step.took = "failed" if failed else "done", self.clock() - step.began
        step.words = words.said(text, 200) if text else step.words
        if not self._draw():
            self._line(str(step))

    def note(self, text: str) -> None:
        self.rest()
        self._line(f"  {words.said(text)}")

    def rest(self) -> None:
        """Stop redrawing: what was drawn stays, and something else is printed below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._steps = {key: step for key, step in self._steps.items() if step.state == "running"}

    def _draw(self) -> bool:
        if not self.err.isatty():
            return False
        if self._live is None:
            from rich.live import Live  # noqa: PLC0415

            self._live = Live(console=_console(self.err), get_renderable=self._drawn, refresh_per_second=8)
            self._live.start()
        self._live.refresh()
        return True

    def _drawn(self) -> Any:
        from rich.console import Group  # noqa: PLC0415
        from rich.spinner import Spinner  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        styles: dict[State, str] = {"running": "", "done": "green", "failed": "red"}
        return Group(
            *(
                Spinner("dots", Text(step.words))
                if step.state == "running"
                else Text(str(step), style=styles[step.state])
                for step in self._steps.values()
            )
        )

    def _line(self, text: str) -> None:
        print(text, file=self.err, flush=True)

    # -- briefs --------------------------------------------------------------------------------------------

    def opened(self, given: Headline) -> None:
        self.say("", *words.heading(given), "")

    def brief(self, title: str, told: Told) -> None:
        if self.as_json:
            return
        small_print = words.footer(told.footer) if told.footer else ""
        self.rest()
        self._print(words.panel(title, words.said(told.brief.headline), words.brief_rows(told), small_print))
        self.say("", *words.pages(told), "")

    def say(self, *lines: str) -> None:
        """Lines of plain words on stdout, each whole: an address must not be broken."""
        if not self.as_json:
            self.rest()
            print("\n".join(lines), file=self.out, flush=True)

    def _print(self, shown: RenderableType) -> None:
        console = _console(self.out)
        with console.capture() as captured:
            console.print(shown)
        # Columns are filled up with blanks, which a file need not have.
        lines = (line.rstrip(" ") for line in captured.get().splitlines())
        print("\n".join(lines), file=self.out, flush=True)


def _console(file: TextIO) -> Console:
    from rich.console import Console  # noqa: PLC0415

    width = None if file.isatty() else PIPED_WIDTH
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


class Watched:
    """A source whose answers show as a step: it runs from the first question to the last answer."""

    def __init__(self, source: Any, name: str, screen: Screen) -> None:
        self._source, self._name, self._screen = source, name, screen
        self._open = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._source, name)
        return self._asked(found) if inspect.iscoroutinefunction(found) else found

    async def __call__(self, *arguments: Any) -> Any:
        """Of a source that is one function."""
        return await self._asked(self._source)(*arguments)

    def _asked(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        async def asked(*arguments: Any, **named: Any) -> Any:
            self._open += 1
            self._screen.begin(self._name, f"{self._name}: asking")
            failed = True
            try:
                answer = await ask(*arguments, **named)
                failed = False
                return answer
            finally:
                self._open -= 1
                if failed:
                    self._screen.end(self._name, f"{self._name}: no answer", failed=True)
                elif not self._open:
                    self._screen.end(self._name, f"{self._name}: answered")

        return asked
