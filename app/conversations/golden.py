"""Golden conversations: what is said to the agent, and what it is expected to answer, ask and make of it.

They are files of the knowledge repo (`golden/*.yaml`) and run with the workflows and the offline analyst that
carry real turns, without a database and without a model. A change of behaviour is then a diff in the change
that makes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from pydantic import ConfigDict, Field, ValidationError

from app.agent import offline
from app.agent.answer import Answer
from app.agent.links import hosts_of, keep_known_links
from app.context.library import Library
from app.context.models import Source
from app.context.runbooks import Runbooks, runbooks_of
from app.conversations.guide import Guide, Guided
from app.conversations.models import Incoming, Session, Turn
from app.conversations.reply import Closing, Said, TaskStatus
from app.errors import AgentError
from app.frozen import Frozen
from app.knowledge.bounded_yaml import load_documents
from app.knowledge.checking import Rule
from app.knowledge.keeping import Keeper
from app.knowledge.pages import yaml_problem
from app.storage.tree import Tree
from app.tools.masking import mask
from app.workflows.facts import Asked, Found, Lookup
from app.workflows.state import State
from app.workflows.wants.every import lookups
from app.workflows.wants.reads import Reads

FOLDER = "golden"
EXPECT = "expect:\n"
REASON = "Golden conversations ask none."
THREAD = "https://slack.example/archives/C0GOLDEN/p1"
MOST_MESSAGES = 200


class GoldenBroken(AgentError):
    """A golden conversation cannot be read."""

    code = "golden_broken"


class Expected(Frozen):
    """What is compared; what is left out is not. `answers` are the fields of the workflow by slot, `files`
    what was made, by name, `text` what was said to each message."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[str, Any] | None = None
    files: dict[str, str] | None = None
    text: list[str] | None = None


class Golden(Frozen):
    """A conversation: `say` are messages in order, as text or as `{who: text}`; `services` are what the
    catalog has, as in `services.yaml`; `documents` are other files of the blueprints repo, by path; `facts`
    are what is found for what a workflow wants, where it is not found in these and the knowledge."""

    model_config = ConfigDict(extra="forbid")

    about: str = ""
    today: date = date(2026, 1, 5)
    services: list[dict[str, Any]] = Field(default_factory=list)
    documents: dict[str, str] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    say: list[str | dict[str, str]] = Field(min_length=1, max_length=MOST_MESSAGES)
    expect: Expected | None = None

    @property
    def messages(self) -> Iterator[tuple[str, str]]:
        """Who says what."""
        for each in self.say:
            yield from each.items() if isinstance(each, dict) else (("U1", each),)


@dataclass(frozen=True)
class Difference:
    """A golden conversation that went otherwise; `diff` is a unified one."""

    path: str
    diff: str

    def __str__(self) -> str:
        return f"{self.path}: error: it goes otherwise than expected\n{self.diff}"


async def check(
    tree: Tree, *, rules: Sequence[Rule] = (), paths: Sequence[str] = ()
) -> tuple[tuple[Difference, ...], int]:
    """Run the conversations of a knowledge repo: those that went otherwise, and how many there are.

    Raises:
        GoldenBroken: one cannot be read; with its file and line.
        AgentError: the knowledge itself has errors.
    """
    found = [path for path, _ in conversations(tree) if not paths or path in paths]
    differences = []
    for path in found:
        golden = read(path, tree.files[path])
        happened = await play(golden, tree, rules=rules)
        expected = golden.expect or Expected()
        shown = _only(happened, expected) if golden.expect else happened
        if diff := _diff(path, expected, shown):
            differences.append(Difference(path, diff))
    return tuple(differences), len(found)


async def update(folder: Path, tree: Tree, *, rules: Sequence[Rule] = ()) -> list[str]:
    """Write what happens into the files as what is expected; the paths of those that changed."""
    changed = []
    for path, text in conversations(tree):
        golden = read(path, text)
        happened = await play(golden, tree, rules=rules)
        shown = _only(happened, golden.expect) if golden.expect else happened
        head, _, _ = f"\n{text}".partition(f"\n{EXPECT}")
        new = f"{head.lstrip(chr(10)).rstrip()}\n{dumped({'expect': _told(shown)})}"
        if new != text:
            (folder / path).write_text(new, "utf-8")
            changed.append(path)
    return changed


def conversations(tree: Tree) -> Iterator[tuple[str, str]]:
    for path, text in tree.under(FOLDER):
        if path.endswith((".yaml", ".yml")):
            yield path, text


def read(path: str, text: str) -> Golden:
    """Raises:
    GoldenBroken: with file and line, or with the key that is wrong.
    """
    try:
        documents = load_documents(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        line, reason = yaml_problem(problem, text)
        raise GoldenBroken(f"{path}:{line}: error: is not valid YAML: {reason}") from problem
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise GoldenBroken(
            f"{path}:1: error: is no mapping; it needs say, what people say, one after the other"
        )
    try:
        return Golden.model_validate(documents[0])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise GoldenBroken(f"{path}:1: error: {where}: {first['msg'].lower()}") from error


# -- one conversation ----------------------------------------------------------------------------------------


async def play(golden: Golden, tree: Tree, *, rules: Sequence[Rule] = ()) -> Expected:
    """What happens when that is said, one message after the other."""
    keeper = Keeper(_Fixed(tree), rules=rules)
    catalog = {"services.yaml": dumped({"services": golden.services})}
    library = Library(_Fixed(Tree(FOLDER, {**golden.documents, **catalog})))
    await keeper.refresh()
    await library.refresh()
    read_from = Reads(keeper.at, lambda: library.blueprints, runbooks=lambda: _runbooks(keeper))
    guide = Guide(
        keeper,
        library,
        lookups={**lookups(read_from), **{name: _finds(value) for name, value in golden.facts.items()}},
        link=lambda channel, ts: THREAD,
        clock=lambda: datetime.combine(golden.today, datetime.min.time(), UTC),
    )
    stage = _Stage(guide)
    for number, (who, words) in enumerate(golden.messages):
        await stage.hear(number, who, words)
    state = State.from_json(stage.session.workflow_state)
    answers = {name: given.value for name, given in state.answers.items()} if state else None
    return Expected(answers=answers, files=stage.paper.files or None, text=stage.said)


@dataclass
class _Paper:
    """A `Reply` that keeps the files and shows nothing."""

    files: dict[str, str] = field(default_factory=dict)

    async def open(self) -> None: ...

    async def text(self, delta: str) -> None: ...

    async def reset(self, text: str) -> None: ...

    async def task(
        self, id: str, title: str, status: TaskStatus, details: str = "", sources: Sequence[Source] = ()
    ) -> None: ...

    async def notice(self, sentence: str) -> None: ...

    async def close(self, closing: Closing) -> None: ...

    async def fail(self, sentence: str, trace_id: str) -> None: ...

    async def cancelled(self, by: str | None) -> None: ...

    async def abandon(self) -> None: ...

    async def attach(self, file_name: str, title: str, content: bytes, media_type: str) -> None:
        self.files[file_name] = content.decode("utf-8", "replace")

    async def settle(self, outcome: str) -> None: ...


class _Nowhere:
    """A `Place` without a channel and without a past."""

    async def channel_name(self) -> str | None:
        return None

    async def name_of(self, user_id: str) -> str | None:
        return user_id

    async def said_before(self, *, limit: int = 50) -> tuple[Said, ...]:
        return ()

    async def addressed_since(self) -> tuple[Incoming, ...]:
        return ()


@dataclass(frozen=True)
class _Fixed:
    """A source of one tree."""

    tree: Tree

    async def refresh(self) -> Tree:
        return self.tree

    async def tree_at(self, revision: str) -> Tree | None:
        return self.tree if revision == self.tree.revision else None


@dataclass
class _Stage:
    """The thread: its session as it would be stored, and what was said and made in it."""

    guide: Guide
    paper: _Paper = field(default_factory=_Paper)
    said: list[str] = field(default_factory=list)
    session: Session = field(
        default_factory=lambda: Session(
            id=1, team_id="T1", channel_id="C1", thread_ts="1", updated_at=datetime(2026, 1, 5, tzinfo=UTC)
        )
    )

    async def hear(self, number: int, who: str, words: str) -> None:
        turn = Turn(
            id=UUID(int=number + 1),
            session=self.session,
            attempt=1,
            kind="follow_up" if number else "mention",
            user_id=who,
            message_ts=str(number),
            question=words,
            trace_id=FOLDER,
            created_at=self.session.updated_at,
        )
        knowledge = self.guide.keeper.current
        guided = await self.guide.go_on(turn, knowledge, self.paper, _Nowhere())
        if guided is None:
            answer = await self._analysed(words)
        else:
            answer = guided.answer(await self._analysed(words) if guided.aside else None)
            self._keep(guided)
        notices = "".join(f"\n\n({notice})" for notice in answer.notices)
        self.said.append(_plain(f"{answer.text}{notices}"))

    def _keep(self, guided: Guided) -> None:
        service = self.session.service_name or guided.service
        changes = {"workflow_state": guided.state.to_json(), "service_name": service}
        self.session = self.session.model_copy(update=changes)

    async def _analysed(self, words: str) -> Answer:
        """What the offline analyst says, as a turn shows it."""
        library = self.guide.library
        context = await library.context_for(
            words,
            thread_service=self.session.service_name,
            channel=None,
            knowledge=self.guide.keeper.current,
        )
        if context.service is not None:
            self.session = self.session.model_copy(update={"service_name": context.service.name})
        answer = offline.answer(words, context, reason=REASON)
        hosts = library.catalog.hosts() | hosts_of((*context.sources, *answer.sources))
        return replace(answer, text=keep_known_links(mask(answer.text), hosts))


async def _runbooks(keeper: Keeper) -> Runbooks:
    return runbooks_of(keeper.current)


def _finds(value: Any) -> Lookup:
    async def lookup(asked: Asked) -> Found:
        return Found(value)

    return lookup


# -- what is compared ----------------------------------------------------------------------------------------


def _only(happened: Expected, expected: Expected) -> Expected:
    """The parts that somebody expects something of."""
    return happened.model_copy(
        update={name: None for name in Expected.model_fields if getattr(expected, name) is None}
    )


def _told(expected: Expected) -> dict[str, Any]:
    return expected.model_dump(mode="json", exclude_none=True)


def _diff(path: str, expected: Expected, happened: Expected) -> str:
    before, after = (dumped(_told(each)).splitlines() for each in (expected, happened))
    lines = difflib.unified_diff(before, after, f"{path} (expected)", f"{path} (happened)", lineterm="")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Without spaces at the ends of lines, which YAML's blocks do not show."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks: they are read in diffs."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def dumped(value: Mapping[str, Any]) -> str:
    return yaml.dump(
        dict(value),
        Dumper=_Readable,
        allow_unicode=True,
        sort_keys=False,
        width=100,
        default_flow_style=False,
    )
