"""What people answer, and what is found for them, becomes a value in a file and nothing else."""

from __future__ import annotations

import pytest
import yaml

from app.delivery.github import title_of
from app.delivery.models import File
from app.tools.masking import mask
from app.workflows.rendering import Handed, render_artifacts
from app.workflows.repairing import Edit, NotRepaired, Repair, repaired
from tests.workflows.play import Play, sample

WORKFLOW = """---
artifact: {{file_name: it.yaml, title: "Notes {{{{ one }}}}"}}
---
# It
## Phase 1: It
```fields
- name: one
```
## Phase 2: Output
```yaml
first: 1
{}
last: 2
```
"""


def made(line: str, said: str) -> Handed:
    play = Play(sample("it.md", WORKFLOW.format(line))).begin().say(f"one: {said}")
    [file] = render_artifacts(play.view, mask)
    return file


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{{ one }}: true", "a: 1\nadmin"),
        ("{{ one }}: true", "a: {x"),
        ("- {{ one }}: x", "a"),
        ("m: {k: {{ one }}}", "1, admin: true"),
        ("m: [{{ one }}]", "a, b"),
        ("m: more than {{ one }} of it", "5 # half"),
        ("m: is {{ one }}", "a: b"),
        ('m: "text\n  {{ one }} more"', '" \nadmin: true #'),
        ("m: is {{ one }}", "ada@example.com: x"),
    ],
)
def test_what_becomes_more_than_a_value_is_handed_over_as_not_valid(line: str, said: str) -> None:
    assert made(line, said).faults


@pytest.mark.parametrize(
    "said",
    [
        "a: 1\nadmin: true", "&a [*a]", "!!python/object:os.system x", "- x", "? x", "a # b", "%YAML 1.1", "---", "{{ one }}",
        "{% for x in one %}", "\u2028--- x", "a\x7f\x80b", "\ufeffa", "x\u202eevil\u2066y", "yes", "1e3", "0x1f", "null",
        "xvalue1x", "hi \U000e0041\U000e0042",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "line",
    [
        "m: {{ one }}",
        'm: "x {{ one }} y"',
        "m: 'x {{ one }} y'",
        "m: |\n  {{ one }}\n  end",
        "m: 1 # {{ one }}",
    ],
)
def test_what_is_written_where_a_value_belongs_stays_one(line: str, said: str) -> None:
    file = made(line, said)

    assert file.faults == ()
    read = yaml.safe_load(file.content)
    assert list(read) == ["first", "m", "last"]
    assert not set("\x7f\x80\u2028\u202e\u2066\U000e0041") & set(file.content)


def test_a_secret_is_nowhere_in_what_is_handed_over() -> None:
    file = made("m: {{ one }}", "password=hunter2hunter2 and ada@example.com")

    assert "hunter2" not in str(file)
    assert "ada@" not in str(file)


def test_a_title_refers_to_no_issue() -> None:
    file = File(1, "x.md", "SLOs, closes GH-12 and gh-7", "text/markdown", "x")

    assert title_of((file,), mask) == "SLOs, closes GH 12 and gh 7"


@pytest.mark.parametrize(
    "now",
    [
        'expr: "rate(errors) < 0.5: high"',
        'expr: "rate(errors) >= 0.5: high"',
        'expr: "rate(errors) > -0.5: high"',
    ],
)
def test_no_repair_turns_an_alert_round(now: str) -> None:
    content = "expr: rate(errors) > 0.5: high\n"
    file = Handed("a.yaml", "A", "application/yaml", content, faults=("line 1 is not valid YAML",))
    right = 'expr: "rate(errors) > 0.5: high"'

    assert repaired(file, Repair(edits=[Edit(first=1, last=1, text=right)])).faults == ()
    with pytest.raises(NotRepaired, match="It changes words"):
        repaired(file, Repair(edits=[Edit(first=1, last=1, text=now)]))
