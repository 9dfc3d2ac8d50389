"""Workflows and deliveries of one thread when people answer at once, press old buttons, and turns are tried again.

The turns are stored, begun and decided as the runner does it; what is left out is the place they are shown in.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.answer import Answer
from app.context.library import Library
from app.conversations import repository
from app.conversations.accept import accept, stop
from app.conversations.choosing import choose
from app.conversations.courier import Courier
from app.conversations.golden import _Fixed, _Nowhere, _Paper
from app.conversations.guide import Guide
from app.conversations.models import Incoming, Turn
from app.delivery import repository as deliveries
from app.delivery.github import PullRequests
from app.knowledge.keeping import Keeper
from app.settings import DeliverySettings
from app.storage.engine import as_json, begin
from app.storage.tree import Tree
from tests.fakes.github_writes import TOKEN, GitHubWrites

ANSWER = TypeAdapter(Answer)
MAYA, OMAR = "U0MAYA", "U0OMAR"
STEPS = itertools.count(1)

TWO = """---
triggers: [write two notes]
artifact: {file_name: "notes/{{ service }}.md"}
---
# Two notes
## Phase 1: Notes
```fields
- name: one
- name: two
  propose: "as one, two and three"
- name: three
```
## Phase 2: Output
```markdown
{{ one }} / {{ two }} / {{ three }}
```
"""
ASKING = """---
triggers: [pick something]
confirm: true
---
# Pick
## Phase 1: Pick
```fields
- name: one
  choices: [red, blue]
- name: live
  type: yes/no
- name: note
```
## Phase 2: Output
```markdown
{{ one }} {{ live }} {{ note }}
```
"""
KNOWLEDGE = {
    "system-prompt.md": "# Agent\nAnswer.\n",
    "workflows/two.md": TWO,
    "workflows/pick.md": ASKING,
}
SERVICES = """services:
  - {name: checkout, repo: acme/checkout}
  - {name: payments, repo: acme/payments}
"""


@dataclass
class Thread:
    engine: AsyncEngine
    guide: Guide
    courier: Courier
    place: dict[str, str] = field(
        default_factory=lambda: {"team_id": "T1", "channel_id": "C1", "thread_ts": "1.1"}
    )

    async def write(self, words: str, user: str = MAYA) -> UUID:
        """Store a message; its turn waits."""
        number = next(STEPS)
        incoming = Incoming(
            **self.place,
            message_ts=f"{number}.1",
            user_id=user,
            text=words,
            kind="mention" if words.startswith("let's") else "follow_up",
        )
        accepted = await accept(self.engine, incoming)
        assert accepted is not None
        return accepted.turn_id

    async def press(self, turn_id: UUID, number: int, user: str = MAYA) -> UUID | None:
        """Choose under the answer of a turn; the turn that comes of it."""
        ts = f"{next(STEPS)}.1"
        if not await choose(self.engine, turn_id, number, user_id=user, message_ts=ts):
            return None
        async with begin(self.engine) as connection:
            found = await connection.execute(text("SELECT id FROM turns WHERE message_ts = :ts"), {"ts": ts})
            return UUID(str(found.scalar_one()))

    async def begun(self, turn_id: UUID) -> Turn:
        async with begin(self.engine) as connection:
            turn = await repository.begin_turn(connection, turn_id)
        assert turn is not None
        return turn

    async def carry_out(self, turn_id: UUID, *, dies: bool = False) -> Answer:
        """What a turn answers; when it dies, nothing of that was stored and it can be carried out again."""
        turn = await self.begun(turn_id)
        answer, guided = await self.courier.answer(turn), None
        if answer is None:
            guided = await self.guide.go_on(turn, self.guide.keeper.current, _Paper(), _Nowhere())
            answer = guided.answer(None) if guided else Answer("(the analyst's)")
        if dies:
            return answer
        async with begin(self.engine) as connection:
            await repository.save_answer(connection, turn, as_json(ANSWER.dump_python(answer, mode="json")))
            if guided is not None:
                await self.guide.store(connection, turn, guided)
        async with begin(self.engine) as connection:
            await connection.execute(text("UPDATE turns SET status = 'done' WHERE id = :id"), {"id": turn_id})
        return answer

    async def say(self, *words: str, user: str = MAYA) -> Answer:
        for each in words:
            answer = await self.carry_out(await self.write(each, user))
        return answer

    async def last(self) -> UUID:
        async with begin(self.engine) as connection:
            found = await connection.execute(text("SELECT id FROM turns ORDER BY started_at DESC LIMIT 1"))
            return UUID(str(found.scalar_one()))

    async def answers(self) -> dict[str, Any]:
        async with begin(self.engine) as connection:
            found = await connection.execute(text("SELECT workflow_state -> 'answers' FROM sessions"))
            return {name: given["value"] for name, given in (found.scalar_one() or {}).items()}


@pytest.fixture
async def github() -> AsyncIterator[GitHubWrites]:
    async with GitHubWrites() as server:
        yield server


@pytest.fixture
async def thread(engine: AsyncEngine, github: GitHubWrites) -> Thread:
    keeper = Keeper(_Fixed(Tree("r1", KNOWLEDGE)))
    library = Library(_Fixed(Tree("r1", {"services.yaml": SERVICES})))
    await keeper.refresh()
    await library.refresh()
    courier = Courier(
        engine,
        DeliverySettings(github_write_token=SecretStr(TOKEN)),
        github.url,
        lambda: library.catalog,
        knowledge_repo=f"{github.url}/acme/knowledge",
    )
    return Thread(engine, Guide(keeper, library, elsewhere=courier.offers), courier)


START = "let's write two notes for checkout"


async def handed_over(thread: Thread) -> None:
    assert "is done" in (await thread.say(START, "a", "b", "c")).text


# -- two at once ---------------------------------------------------------------------------------------------


async def test_of_two_who_answer_at_once_the_second_has_not_answered_the_next_question(
    thread: Thread,
) -> None:
    await thread.say(START, "a")
    first, second = await thread.write("mine"), await thread.write("his", OMAR)
    await thread.carry_out(first)
    told = await thread.carry_out(second)

    assert "“his” was written before I asked" in told.text
    assert "What is the three?" in told.text
    assert await thread.answers() == {"one": "a", "two": "mine"}
    await thread.say("c")
    assert await thread.answers() == {"one": "a", "two": "mine", "three": "c"}


@pytest.mark.parametrize("words", ["yes", "skip"])
async def test_said_twice_out_of_impatience_it_counts_once(thread: Thread, words: str) -> None:
    await thread.say(START, "a")
    both = [await thread.write(words), await thread.write(words)]
    for each in both:
        told = await thread.carry_out(each)

    assert "was written before I asked" in told.text
    assert await thread.answers() == {"one": "a", "two": "as one, two and three"}


async def test_after_an_answer_that_does_not_fit_the_next_one_to_the_same_question_counts(
    thread: Thread,
) -> None:
    await thread.say("let's pick something", "red")
    both = [await thread.write("perhaps"), await thread.write("yes", OMAR)]
    for each in both:
        await thread.carry_out(each)

    assert await thread.answers() == {"one": "red", "live": True}


async def test_a_correction_counts_whenever_it_was_written(thread: Thread) -> None:
    await thread.say(START, "a")
    both = [await thread.write("b"), await thread.write("one: A")]
    for each in both:
        await thread.carry_out(each)

    assert await thread.answers() == {"one": "A", "two": "b"}


# -- old buttons ---------------------------------------------------------------------------------------------


async def test_a_proposal_taken_with_its_button_is_the_one_that_was_shown(thread: Thread) -> None:
    await thread.say(START, "a")
    taken = await thread.press(await thread.last(), 0)
    assert taken is not None
    await thread.carry_out(taken)

    assert (await thread.answers())["two"] == "as one, two and three"


async def test_make_it_pressed_late_answers_no_question(thread: Thread) -> None:
    asked = await thread.say("let's pick something", "red", "yes", "x")
    assert [each.label for each in asked.offers] == ["Make it"]
    old = await thread.last()
    await thread.say("back to note")
    late = await thread.press(old, 0)
    assert late is not None
    await thread.carry_out(late)

    assert (await thread.answers())["note"] == "x"


async def test_a_choice_of_a_workflow_that_is_over_changes_nothing_in_another(thread: Thread) -> None:
    await thread.say("let's pick something")
    old = await thread.last()
    await thread.say("cancel", START, "mine")
    late = await thread.press(old, 1)
    assert late is not None
    told = await thread.carry_out(late)

    assert "belongs to a workflow of this thread that is over" in told.text
    assert await thread.answers() == {"one": "mine"}


@pytest.mark.parametrize("number", [0, 1])
async def test_an_old_proposal_confirms_no_other_delivery_and_answers_no_question(
    thread: Thread, github: GitHubWrites, number: int
) -> None:
    await handed_over(thread)
    await thread.say("open a pull request")
    old = await thread.last()
    assert "acme/knowledge" in (await thread.say("open a pull request in the knowledge repo")).text
    late = await thread.press(old, number)
    assert late is not None
    assert "That proposal is over" in (await thread.carry_out(late)).text
    await thread.say(START)
    later = await thread.press(old, number, OMAR)
    assert later is not None
    assert "That proposal is over" in (await thread.carry_out(later)).text

    assert github.requests == []
    assert await thread.answers() == {}


# -- confirmations -------------------------------------------------------------------------------------------


async def test_a_yes_that_was_written_before_the_proposal_confirms_nothing(
    thread: Thread, github: GitHubWrites
) -> None:
    await handed_over(thread)
    both = [await thread.write("open a pull request"), await thread.write("yes")]
    for each in both:
        told = await thread.carry_out(each)

    assert "before I had said what I would do" in told.text
    assert github.requests == []


async def test_a_proposal_that_is_made_again_proposes_what_was_stored(
    thread: Thread, github: GitHubWrites
) -> None:
    await handed_over(thread)
    order = await thread.write("open a pull request")
    await thread.carry_out(order, dies=True)
    moved = Library(
        _Fixed(Tree("r2", {"services.yaml": SERVICES.replace("acme/checkout", "acme/elsewhere")}))
    )
    await moved.refresh()
    thread.courier = dataclasses.replace(thread.courier, catalog=lambda: moved.catalog)
    again = await thread.carry_out(order)
    done = await thread.say("yes")

    assert "**acme/checkout**" in again.text
    assert "acme/checkout#1 is open" in done.text
    assert len(github.repo.pulls) == 1


async def test_a_no_that_is_tried_again_is_no_answer_to_a_workflow(thread: Thread) -> None:
    await handed_over(thread)
    await thread.say("let's pick something", "red", "open a pull request")
    no = await thread.write("no")
    await thread.carry_out(no, dies=True)
    again = await thread.carry_out(no)

    assert "Then I leave it" in again.text
    assert await thread.answers() == {"one": "red"}


async def test_stop_comes_too_late_for_what_is_being_delivered(thread: Thread, github: GitHubWrites) -> None:
    await handed_over(thread)
    await thread.say("open a pull request")
    yes = await thread.write("yes")
    await thread.carry_out(yes, dies=True)
    stopped = await stop(thread.engine, **thread.place, user_id=OMAR)

    assert stopped == 0
    assert "#1 is open" in (await thread.carry_out(yes)).text
    assert len(github.repo.pulls) == 1


# -- deaths --------------------------------------------------------------------------------------------------


class _Dies(BaseException):
    """What kill -9 is to a process."""


@pytest.mark.parametrize("write", range(6))
@pytest.mark.parametrize("after", [False, True])
async def test_killed_beside_any_write_there_is_one_request_and_one_answer(
    thread: Thread, github: GitHubWrites, monkeypatch: pytest.MonkeyPatch, write: int, after: bool
) -> None:
    """Before or behind each write of a delivery, in the database and at GitHub."""
    await handed_over(thread)
    await thread.say("open a pull request")
    yes = await thread.write("yes")
    count = itertools.count()

    def dies_here() -> bool:
        return next(count) == write

    def stored(real: Any) -> Any:
        async def deadly(*args: Any, **more: Any) -> Any:
            dies = dies_here()
            if dies and not after:
                raise _Dies
            found = await real(*args, **more)
            if dies:
                raise _Dies
            return found

        return deadly

    def sent(*args: Any, **more: Any) -> Any:
        dies = dies_here()
        if dies and not after:
            raise _Dies
        found = send(*args, **more)
        if dies:
            raise _Dies
        return found

    send = PullRequests._send
    with monkeypatch.context() as patched:
        for name in ("confirm", "plan", "finish"):
            patched.setattr(deliveries, name, stored(getattr(deliveries, name)))
        patched.setattr(PullRequests, "_send", sent)
        with pytest.raises(_Dies):
            await thread.carry_out(yes)
    told = await thread.carry_out(yes)

    assert "acme/checkout#1" in told.text
    assert len(github.repo.pulls) == 1
    assert len(github.repo.commits) == 1
    async with begin(thread.engine) as connection:
        audited = await connection.execute(
            text("SELECT action FROM audit_log WHERE action LIKE 'delivery%' ORDER BY id")
        )
        assert list(audited.scalars()) == ["delivery_confirmed", "delivery"]
