"""Texts made to take for ever: each must be dealt with long before anybody would notice.

Every input is so large that quadratic work on it would outlast the watchdog by far, which counts what this
process computes: how busy the machine is says nothing.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from subprocess import run
from typing import Any

import pytest

from app.agent.links import LinkGuard, keep_known_links
from app.agent.prompt import fenced
from app.context.blueprints import title
from app.context.catalog import read_catalog
from app.context.sections import cut
from app.context.speech import listen
from app.knowledge.checking import check
from app.knowledge.pages import take_apart
from app.slack.incoming import Me, read
from app.slack.text import markdown, reopening, settled, without_mention
from app.storage.tree import Tree
from app.tools.masking import mask

WATCHDOG_SECONDS = 30


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    def bark(*_: object) -> None:
        pytest.fail(f"still at work after {WATCHDOG_SECONDS} s")

    before = signal.signal(signal.SIGPROF, bark)
    signal.setitimer(signal.ITIMER_PROF, WATCHDOG_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


HOSTS = frozenset({"git.example.com"})
SPACES = " " * 400_000


def only_known_links(text: str) -> str:
    return keep_known_links(text, HOSTS)


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (fenced, "<" + SPACES + "x"),
        (mask, "eyJ-" * 100_000),
        (mask, "password" + SPACES),
        (mask, "a@" + "a." * 200_000),
        (only_known_links, "a" * 400_000),
        (only_known_links, "www." * 100_000),
        (only_known_links, "&#x41" * 80_000),
        (only_known_links, "[a](" + SPACES + "x"),
        (only_known_links, "](" * 100_000),
        (only_known_links, "<" * 200_000),
        (lambda text: without_mention(text, "U0AGENT"), SPACES + "x"),
        (markdown, ">" * 200_000),
        (lambda text: reopening("a|b\n" + text, "x"), "|-" + SPACES + "x"),
        (settled, "`" * 200_000 + "x"),
        (listen, "<@" * 200_000),
        (lambda text: title(text, "a.md"), "# a" + SPACES + "b"),
        (take_apart, "---\na" + SPACES + "x\n---\n"),
        (cut, "# a\nb\n" * 60_000),
        (cut, "# " + "[" * 400_000 + "\nb"),
    ],
    ids=[str(n) for n in range(19)],
)
def test_a_hostile_text_is_dealt_with(work: Callable[[str], Any], text: str) -> None:
    work(text)


def test_a_hostile_answer_is_dealt_with_while_it_grows() -> None:
    for line in ("[a](" + "()" * 20_000, "<" + "a " * 20_000, "`" + "a " * 20_000, "a" * 40_000):
        guard = LinkGuard(HOSTS)
        shown = "".join(guard.feed(line[at : at + 8]) for at in range(0, len(line), 8)) + guard.flush()
        assert shown


def test_a_message_of_forty_thousand_spaces_stops_nobody() -> None:
    event = {
        "type": "app_mention",
        "user": "U0GUEST",
        "channel": "C1",
        "ts": "1.0",
        "text": "<@U0AGENT>" + " " * 400_000 + "hello",
    }
    read(event, Me("T1", "U0AGENT", "B1"))


# -- YAML ------------------------------------------------------------------------------------------------


def bomb(levels: int, width: int) -> str:
    """Aliases of aliases: a few lines that are `width ** levels` items when written out."""
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_a_fault_does_not_write_out_aliases_of_aliases() -> None:
    text = f"{bomb(7, 30)}\nservices:\n  - name: checkout\n    tier: *a6\n"
    catalog = read_catalog(Tree("r1", {"services.yaml": text}))
    assert "checkout" in catalog.services
    [fault] = catalog.faults
    assert fault.message.startswith("tier of checkout: must be 1, 2, 3 or 4")


@pytest.mark.parametrize(
    "front",
    [
        bomb(9, 10) + "\ntier: *a8",
        "a0: &a0 {x: 1}\n" + "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)),
        "title: t\nage: " + "1:" * 400_000 + "1",
        "title: " + "[" * 400_000,
    ],
    ids=["aliases", "merge keys", "sexagesimal", "brackets"],
)
def test_front_matter_that_explodes_is_a_fault(front: str) -> None:
    tree = Tree(
        "r1", {"system-prompt.md": "Answer.", "tiers/tier-1.md": f"---\n{front}\n---\n# Tier 1\ntext"}
    )
    assert any("front matter" in fault.message for fault in check(tree) if fault.severity == "error")


@pytest.mark.parametrize("name", ["services.yaml", "catalog-info.yaml"])
def test_deep_nesting_ends_no_process(name: str) -> None:
    """libyaml's composer overflows the C stack, which no exception handler sees: hence another process."""
    code = (
        "from app.context.catalog import read_catalog\n"
        "from app.storage.tree import Tree\n"
        f"catalog = read_catalog(Tree('r1', {{{name!r}: 'services: ' + '[' * 500_000}}))\n"
        "print(catalog.faults[0].message)"
    )
    ended = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, "nested too deeply" in ended.stdout) == (0, True), ended.stderr
