"""The library keeps the last good blueprints and never waits long for a README."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from app.context.library import README_FRESH_SECONDS, Library
from app.context.models import Context, Readme, Service, Source
from app.context.pushed import concerns
from app.errors import AgentError
from app.knowledge.models import Document, Knowledge
from app.storage.tree import Tree

KNOWLEDGE = Knowledge(revision="k1", system_prompt=Document("system-prompt.md", "System prompt", "Answer."))
SERVICES = "services: [{name: checkout, tier: 1, repo: 'https://github.com/acme/checkout'}]"
SOURCE = Source(kind="readme", title="README of checkout", path="acme/checkout/README.md")


class Away(AgentError):
    code = "away"


@dataclass
class Repo:
    """A blueprints repo whose state a test sets; an exception is raised when it is the state."""

    state: Tree | Exception

    async def refresh(self) -> Tree:
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    async def tree_at(self, revision: str) -> Tree | None:
        return self.state if isinstance(self.state, Tree) and self.state.revision == revision else None


@dataclass
class GitHub:
    """READMEs as a test wants them: `answers` one after the other, the last one again and again."""

    answers: list[Readme | Exception]
    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def readme(self, service: Service) -> Readme:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        await self.open.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tree(revision: str = "b1", *, services: str = SERVICES, notice: str | None = None) -> Tree:
    return Tree(revision, {"services.yaml": services, "services/checkout.md": "# C\n\nBuys."}, None, notice)


def readme(text: str) -> Readme:
    return Readme(text=text, source=SOURCE)


async def library_with(github: GitHub, clock: Clock | None = None) -> Library:
    library = Library(Repo(tree()), readmes=github, readme_seconds=0.05, clock=clock or Clock())
    await library.refresh()
    return library


async def ask(library: Library, question: str = "how is checkout configured?") -> Context:
    return await library.context_for(question, thread_service=None, channel=None, knowledge=KNOWLEDGE)


def readme_text(context: Context) -> str:
    return "".join(section.text for section in context.sections if section.source.kind == "readme")


async def test_without_blueprints_the_catalog_is_empty_and_questions_are_answered() -> None:
    library = Library(None)
    await library.refresh()
    context = await ask(library)
    assert (library.is_loaded, len(library.catalog), context.service) == (True, 0, None)
    assert "The catalog is empty" in context.missing[0]


async def test_a_refresh_takes_the_newest_blueprints() -> None:
    repo = Repo(tree())
    library = Library(repo)
    assert not library.is_loaded
    await library.refresh()
    repo.state = tree("b2", services="services: [{name: checkout, tier: 3}, {name: payments}]")
    await library.refresh()
    context = await ask(library)
    assert (library.revision, len(library.catalog)) == ("b2", 2)
    assert context.service is not None
    assert context.service.tier == 3
    assert {section.source.revision for section in context.sections} == {"b2"}


async def test_blueprints_that_cannot_be_read_leave_the_last_good_ones_and_the_answer_says_so() -> None:
    repo = Repo(tree())
    library = Library(repo)
    await library.refresh()
    repo.state = Away("The host does not answer.")
    await library.refresh()
    context = await ask(library)
    assert context.service is not None
    assert context.notices == (
        "The blueprints could not be read (The host does not answer.); this is the last good copy.",
    )
    repo.state = tree()
    await library.refresh()
    assert (await ask(library)).notices == ()


async def test_blueprints_that_were_never_read_are_not_loaded() -> None:
    library = Library(Repo(FileNotFoundError("no such folder")))
    await library.refresh()
    assert not library.is_loaded
    assert (await ask(library)).notices == (
        "The blueprints could not be read (no such folder), so no service is known.",
    )


async def test_the_notice_of_a_copy_comes_and_goes_with_it() -> None:
    repo = Repo(tree(notice="A copy of Monday."))
    library = Library(repo)
    await library.refresh()
    assert (await ask(library)).notices == ("A copy of Monday.",)
    repo.state = tree()
    await library.refresh()
    assert (await ask(library)).notices == ()


async def test_a_readme_is_part_of_the_context_and_is_asked_for_once_a_minute() -> None:
    clock, github = Clock(), GitHub([readme("# One\n\nfirst"), readme("# One\n\nsecond")])
    github.open.set()
    library = await library_with(github, clock)
    assert readme_text(await ask(library)) == "# One\n\nfirst"
    assert readme_text(await ask(library)) == "# One\n\nfirst"
    clock.now += README_FRESH_SECONDS
    assert readme_text(await ask(library)) == "# One\n\nsecond"
    assert github.asked == 2


async def test_a_late_readme_is_not_waited_for_and_serves_the_next_question() -> None:
    github = GitHub([readme("# One\n\nfirst")])
    library = await library_with(github)
    first, second = await asyncio.gather(ask(library), ask(library))
    assert first.notices == ("The README of checkout did not come in time, so it is not used here.",)
    assert (second.notices, github.asked) == (first.notices, 1)
    assert not any("README" in sentence for sentence in first.missing), (
        "nobody knows yet whether there is one"
    )
    github.open.set()
    await asyncio.sleep(0)
    third = await ask(library)
    assert (readme_text(third), third.notices, github.asked) == ("# One\n\nfirst", (), 1)


async def test_while_a_newer_readme_is_late_the_last_copy_serves() -> None:
    clock, github = Clock(), GitHub([readme("# One\n\nfirst"), readme("# One\n\nsecond")])
    github.open.set()
    library = await library_with(github, clock)
    await ask(library)
    github.open.clear()
    clock.now += README_FRESH_SECONDS
    context = await ask(library)
    assert readme_text(context) == "# One\n\nfirst"
    assert context.notices == ("The README of checkout could not be checked in time; this is the last copy.",)
    github.open.set()
    assert readme_text(await ask(library)) == "# One\n\nsecond"


async def test_a_readme_that_cannot_be_read_costs_no_answer() -> None:
    clock = Clock()
    github = GitHub([readme("# One\n\nfirst"), Away("The quota is spent."), KeyError("a bug")])
    github.open.set()
    library = await library_with(github, clock)
    await ask(library)
    for reason in ("The quota is spent.", "KeyError"):
        clock.now += README_FRESH_SECONDS
        context = await ask(library)
        assert readme_text(context) == "# One\n\nfirst"
        assert context.notices == (
            f"The README of checkout could not be read ({reason}); this is the last copy.",
        )


async def test_after_a_push_the_next_question_has_the_readme_asked_for_again() -> None:
    github = GitHub([readme("# One\n\nfirst"), readme("# One\n\nsecond")])
    github.open.set()
    library = await library_with(github)
    await ask(library)
    library.wake("acme/checkout-web")
    assert readme_text(await ask(library)) == "# One\n\nfirst"
    library.wake("Acme/Checkout")
    assert readme_text(await ask(library)) == "# One\n\nsecond"
    assert github.asked == 2


async def test_a_fetch_that_began_before_a_push_serves_nobody_after_it() -> None:
    github = GitHub([readme("# One\n\nfirst"), readme("# One\n\nsecond")])
    library = Library(Repo(tree()), readmes=github, readme_seconds=3600, clock=Clock())
    await library.refresh()
    before = asyncio.create_task(ask(library))
    while not github.asked:
        await asyncio.sleep(0)
    library.wake("acme/checkout")
    after = asyncio.create_task(ask(library))
    while github.asked < 2:
        await asyncio.sleep(0)
    github.open.set()
    assert readme_text(await before) == "# One\n\nfirst"
    assert readme_text(await after) == "# One\n\nsecond"
    assert readme_text(await ask(library)) == "# One\n\nsecond"
    assert github.asked == 2


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("https://github.com/acme/checkout", True),
        ("https://github.com/Acme/Checkout.git", True),
        ("https://user:word@github.com/acme/checkout.git/", True),
        ("git@github.com:acme/checkout.git", True),
        ("acme/checkout", True),
        ("https://github.com/acme/checkout-web", False),
        ("https://github.com/big-acme/checkout", False),
        ("https://acme/checkout/knowledge.git", False),
        ("https://git.example.com/group/acme/checkout", False),
        ("--upload-pack=acme/checkout", False),
        ("", False),
        (None, False),
    ],
)
def test_a_push_concerns_the_repo_it_names(address: str | None, is_it: bool) -> None:
    assert concerns("acme/checkout", address) is is_it


async def test_a_service_without_a_repo_is_not_asked_about() -> None:
    github = GitHub([readme("# One")])
    library = Library(Repo(tree(services="services: [{name: checkout}]")), readmes=github)
    await library.refresh()
    context = await ask(library)
    assert github.asked == 0
    assert any("names no repo for checkout" in sentence for sentence in context.missing)


async def test_a_fetch_that_hangs_is_waited_for_once() -> None:
    clock, github = Clock(), GitHub([readme("# One")])
    library = Library(Repo(tree()), readmes=github, readme_seconds=3600, clock=clock)
    await library.refresh()
    waiting = asyncio.create_task(ask(library))
    while not github.asked:
        await asyncio.sleep(0)
    clock.now += 3600
    context = await ask(library)
    assert context.notices == ("The README of checkout did not come in time, so it is not used here.",)
    github.open.set()
    assert (await waiting).notices == ()
