"""Templates: what is filled in, how it is written where it stands, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from app.workflows.filling import TooLarge, render
from app.workflows.in_words import MISSING
from app.workflows.templates import Path, Syntax, TemplateBroken, parse

KNOWN: dict[str, Any] = {
    "name": "checkout", "team": 'the "A" team', "tier": 1, "target": 99.95, "live": True, "none": [],
    "journeys": ["pay", "log in"], "rules": [{"name": "High", "expr": "a > 1"}, {"name": "Low", "expr": "b"}],
    "lines": "one\ntwo", "within": "90m", "odd": "yes", "hash": "a # b: c",
}  # fmt: skip


def scope(path: Path) -> Any:
    if path == ("target", "[pay]"):
        return 99.9
    return KNOWN.get(path[0], MISSING) if len(path) == 1 or path[1].startswith("[") else MISSING


def filled(text: str, syntax: Syntax = "text", **more: Any) -> str:
    template = parse(text, syntax=syntax, **more)
    return render(template, scope, marker=lambda path: f"TODO({'.'.join(path)})").text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ name }} of {{team}}", 'checkout of the "A" team'),
        ("{{ nobody }}", "TODO(nobody)"),
        ("{{ team | slug }} {{ journeys | count }} {{ name | upper }}", "the-a-team 2 CHECKOUT"),
        ("{{ within | seconds }} {{ within | ms }}", "5400 5400000"),
        ("{{ target | ratio }} {{ target | budget }}", "0.9995 0.0005"),
        ("{{ journeys }}", "pay, log in"),
        ("{{ journeys | bullets }}", "- pay\n- log in"),
        ("  {{ lines }}", "  one\n  two"),
        ("{{ $labels.job }} {{ printf `%s` $value }}", "{{ $labels.job }} {{ printf `%s` $value }}"),
        ("{% for j in journeys %}[{{ j }}]{% endfor %}", "[pay][log in]"),
        (
            "{% for j in journeys %}\n- {{ j }}: {{ j.target }}\n{% endfor %}\n",
            "- pay: 99.9\n- log in: 99.95\n",
        ),
        ("{% for r in rules %}{{ r.name }}={{ r.expr }};{% endfor %}", "High=a > 1;Low=b;"),
        ("{% for j in nobody %}x{% endfor %}", ""),
        ("{% if live %}a{% else %}b{% endif %}{% if none %}c{% endif %}", "a"),
        ('{% if name == "checkout" %}a{% endif %}{% if not nobody %}b{% endif %}', "ab"),
        ('{% include "part.md" %}', "part of checkout"),
    ],
)
def test_what_is_known_is_filled_in(text: str, said: str) -> None:
    assert filled(text, files={"part.md": "part of {{ name }}"}) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${name} ${HOME} {team} {a: 1} <tier> <br> <nobody here> <https://x>",
         'checkout ${HOME} the "A" team {a: 1} 1 <br> TODO(nobody_here) <https://x>'),
        ("[Name] [ ] [x] [TODO: ask] [link](x) [ref][1] a[name] \\[name]",
         "checkout [ ] [x] [TODO: ask] [link](x) [ref][1] a[name] \\[name]"),
    ],
)  # fmt: skip
def test_placeholders_of_other_authors(text: str, said: str) -> None:
    assert filled(text, "markdown", loose=True) == said
    assert filled(text, "markdown") == text


YAML = """\
plain: {{ name }}
quoted: "{{ team }}: {{ name }}"
single: '{{ team }} it''s {{ name }}'
number: {{ target }} # percent of {{ lines }}
tier: {{ tier }}
live: {{ live }}
word: {{ odd }}
hash: {{ hash }}
list: {{ journeys }}
missing: {{ nobody }}
within: {{ within }} and {{ lines }}
block: |
  {{ lines }}
  end
items:
  - {{ team }}
  - {{ name }}
"""


def test_values_keep_their_place_in_yaml() -> None:
    assert yaml.safe_load(filled(YAML, "yaml")) == {
        "plain": "checkout",
        "quoted": 'the "A" team: checkout',
        "single": 'the "A" team it\'s checkout',
        "number": 99.95,
        "tier": 1,
        "live": True,
        "word": "yes",
        "hash": "a # b: c",
        "list": ["pay", "log in"],
        "missing": "TODO(nobody)",
        "within": "90m and one two",
        "block": "one\ntwo\nend\n",
        "items": ['the "A" team', "checkout"],
    }


@given(st.text(max_size=60))
@example(" ")
@example(" \nx")
@example(" x\ny")
@example("x\n   \ny")
def test_no_text_breaks_out_of_yaml(said: str) -> None:
    printable = "".join(letter for letter in said if letter.isprintable() or letter == "\n")
    text = "a: {{ it }}\nb: \"x {{ it }} y\"\nc: |\n  {{ it }}\n  end\nd: 1 # {{ it }}\ne: '{{ it }}'\nf: 2\n"
    content = render(parse(text, syntax="yaml"), lambda path: printable, marker=str).text
    read = yaml.safe_load(content)

    assert list(read) == ["a", "b", "c", "d", "e", "f"]
    assert read["b"] == f"x {printable} y"
    assert read["f"] == 2


@given(st.text(max_size=60))
def test_no_text_breaks_out_of_json(said: str) -> None:
    content = render(
        parse('{"a": {{ it }}, "b": "x {{ it }}"}', syntax="json"), lambda path: said, marker=str
    ).text

    assert json.loads(content) == {"a": said, "b": f"x {said}"}


def test_a_row_of_a_table_stays_one_row() -> None:
    assert filled("| {{ lines }} | {{ name }} |", "markdown") == "| one<br>two | checkout |"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a\n{% for j in x %}\nb", 2, "has no {% endfor %}"),
        ("{% endif %}", 1, "{% endif %} is not understood"),
        ("{% set x = 1 %}", 1, "is not understood"),
        ("{{ x | shell }}", 1, "there is no filter shell"),
        ('a\n{% include "nowhere.md" %}', 2, "there is no file nowhere.md to include"),
        ('{% include "self.md" %}', 1, "includes itself: self.md → self.md"),
        ("{% if x %}" * 1000, 1, "tags are nested deeper than 20"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(TemplateBroken, match=said.replace("{%", r"\{%")) as refused:
        parse(text, files={"self.md": '{% include "self.md" %}'})

    assert refused.value.line == line or "includes itself" in said


def test_loops_over_loops_end() -> None:
    text = "{% for a in it %}{% for b in it %}{% for c in it %}{% for d in it %}{{ a }}{% endfor %}"
    text += "{% endfor %}{% endfor %}{% endfor %}"

    with pytest.raises(TooLarge):
        render(parse(text), lambda path: ["x"] * 50, marker=str)
