"""The steps of a turn as an answer's plan shows them, and the text beside them as Slack is sent it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from app.conversations.reply import TaskStatus
from app.slack import blocks as kit
from app.slack.blocks import Block, Task
from app.slack.stream_layout import PartMessage

UNFINISHED = ("pending", "in_progress")


class Steps:
    """The plan's title, and the steps Slack was not told of yet (`waiting`).

    `marker` gives the id of the step every part's plan begins with: by it a part is found again.
    """

    def __init__(self, marker: Callable[[int], str]) -> None:
        self._marker = marker
        self._going_on: dict[str, Task] = {}
        self.title = ""
        self.waiting: dict[str, Task] = {}

    def first(self, index: int) -> list[Task]:
        """What a new part's plan begins with: its marker, and what was at work in the part before."""
        title = self.title if index == 0 else "Continued"
        marker = Task(id=self._marker(index), title=title, status="in_progress")
        return [marker, *(self._going_on | self.waiting).values()]

    def all(self, message: PartMessage) -> list[Task]:
        """Every step of a part, as an edit shows them."""
        index = message.part.index
        marker = Task(id=self._marker(index), title=self.title or "Working", status="in_progress")
        return list(({marker.id: marker} | message.tasks | self.waiting).values())

    def finish(self, message: PartMessage, ended: TaskStatus) -> dict[str, Task]:
        """Let the steps that are at work in a part end with it; those steps, as they were."""
        unfinished = {id: task for id, task in message.tasks.items() if task.status in UNFINISHED}
        for id in unfinished.keys() - self.waiting.keys():
            self.waiting[id] = unfinished[id].model_copy(update={"status": ended})
        return unfinished

    def go_on(self, message: PartMessage, unfinished: dict[str, Task]) -> None:
        """The next part's plan shows these at work again."""
        marker = self._marker(message.part.index)
        self._going_on = {id: task for id, task in unfinished.items() if id != marker}

    def told(self, message: PartMessage, tasks: Iterable[Task]) -> None:
        """Slack has taken these."""
        for task in tasks:
            message.tasks[task.id] = task
            if self.waiting.get(task.id) is task:
                del self.waiting[task.id]

    # -- what is sent ------------------------------------------------------------------------------------

    def opening_chunks(self, text: str, tasks: Iterable[Task]) -> list[Block]:
        """What a stream begins with."""
        title = {"type": "plan_update", "title": kit.plan(self.title, [])["title"]}
        return [title, *(kit.task_update(task) for task in tasks), *_words(text)]

    def chunks(self, text: str, tasks: Iterable[Task], known: dict[str, Task]) -> list[Block]:
        """What a stream goes on with; details and sources Slack already has are not sent again.

        What was written before a step stays in front of it.
        """
        return [*_words(text), *(kit.task_update(_news(task, known.get(task.id))) for task in tasks)]

    def blocks(self, body: str, tasks: Sequence[Task], *, plans: bool) -> list[Block]:
        """A message that is no stream; `body` is escaped already, `plans` says whether Slack takes them."""
        shown = [tasks[0], *tasks[1:][-(kit.MOST_BLOCKS - 1) :]] if tasks else []
        made = [kit.plan(self.title, shown)] if shown and plans else []
        if body.strip():
            made.append({"type": "markdown", "text": body})
        return made or [kit.markdown_block("-")]


def _words(text: str) -> list[Block]:
    return [{"type": "markdown_text", "text": text}] if text else []


def _news(task: Task, before: Task | None) -> Task:
    told = before and (before.details, before.sources) == (task.details, task.sources)
    return task.model_copy(update={"details": "", "sources": ()}) if told else task
