"""Workflows, templates, schemas and answers made to stop the program: each is read, or refused in a sentence.

Nothing is timed. Every input is so large, or leans on itself so often, that work without a bound would
outlast the time limit by far.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from app.conversations.guide import MOST_ROUNDS
from app.workflows.actions import Look
from app.workflows.document import MOST_PHASES, Choice, Field, FieldType, Workflow
from app.workflows.filling import TooLarge, plain, render
from app.workflows.in_words import FILTERS
from app.workflows.reading import read
from app.workflows.rendering import file_name
from app.workflows.schemas import SchemaBroken, read_schema, violations
from app.workflows.sections import sections
from app.workflows.templates import Template, TemplateBroken, parse
from app.workflows.values import Invalid
from app.workflows.values import parse as parse_value
from tests.workflows.play import Play

pytestmark = pytest.mark.timeout(20)

PATH = "workflows/it.md"


def workflow(text: str) -> Workflow:
    reading = read(PATH, text, {PATH: text})
    assert reading.workflow is not None, reading.faults
    return reading.workflow


def with_fields(fields: str) -> str:
    return f"# T\n## Phase 1: It\n```fields\n{fields}\n```\n"


# -- documents -----------------------------------------------------------------------------------------------


def test_a_heading_of_spaces() -> None:
    [top, found] = sections("# a" + " " * 200_000 + "a ##\ntext")

    assert (top.heading, found.prose) == ("", "text")
    assert not found.heading.endswith("#")


@pytest.mark.parametrize(
    ("text", "files", "said"),
    [
        ("{%" + " " * 100_000, {}, None),
        ("{{a}}" * 40_000, {}, "a line may have 20,000 characters"),
        ('{% include "b" %}\n' * 4_000, {"b": "x" * 200_000}, "more than 500,000 characters"),
        ("{{ a" + " | slug" * 20_000, {}, None),
    ],
)
def test_templates_that_grow_while_they_are_read(text: str, files: dict[str, str], said: str | None) -> None:
    if said is None:
        assert parse(text, syntax="yaml", files=files).source == text
        return
    with pytest.raises(TemplateBroken, match=said):
        parse(text, syntax="yaml", files=files)


def test_loops_that_write_nothing_end() -> None:
    template = parse("{% for a in l %}" * 20 + "{% endfor %}" * 20)

    with pytest.raises(TooLarge):
        render(template, lambda path: ["x"] * 50, marker=str)
    assert plain(template, lambda path: ["x"] * 50) == ""


def defaults(count: int) -> str:
    """Each leans on the next one; only the last is known."""
    leaning = [f"- name: f{n}\n  default: 'a {{{{ f{n + 1} }}}}'" for n in range(count)]
    return with_fields("\n".join([*leaning, f"- name: f{count}\n  default: z", "- name: last"]))


def test_defaults_that_lean_on_each_other_are_worked_out_once() -> None:
    play = Play(workflow(defaults(35))).begin()

    assert play.asked == "What is the last?"
    assert play.view.text(parse("{{ f0 }}")) == "a " * 35 + "z"


def test_defaults_that_lean_on_too_many_others_are_asked() -> None:
    assert Play(workflow(defaults(190))).begin().asked == "What is the f0?"


def test_a_document_that_looks_something_up_in_every_phase_reaches_its_question() -> None:
    phases = "".join(
        f"## Phase {n}: P{n}\n```fields\nwants: [w{n}]\nfields: []\n```\n" for n in range(1, MOST_PHASES)
    )
    it = workflow(f"---\nwants: [first]\n---\n# T\n{phases}## Phase 99: Last\n```fields\n- name: q\n```\n")
    play = Play(it, {f"w{n}": {"x": n} for n in range(MOST_PHASES)}).begin("checkout")

    assert play.asked == "What is the q?"
    assert len([each for each in play.said if isinstance(each, Look)]) < MOST_ROUNDS


HOSTILE = [
    "min: 1" + "0" * 400, "max: -.inf", "min: .nan", "min: {a: b}", "choices: {a: {b: [c]}}", "choices: [[1]]",
    "choices: []", "unit: {}", "default: [1, {a: 2}]", "why: !!binary aGk=", "example: 2026-01-01",
    "question: [a]", "required: 7", "draft: [true]", "type: [choice]", "type: {a: b}", "name: 5",
    "? [a]\n  : b", "2026-01-01: x", "null: x", "max: !!set {a, b}", "propose: '{{ x.y.z | json | count }}'",
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE)
def test_whatever_stands_in_a_field_is_read_or_told(key: str) -> None:
    text = with_fields(f"- name: x\n  {key}\n- name: y")
    reading = read(PATH, text, {PATH: text})

    assert reading.workflow is not None or all(fault.line >= 4 for fault in reading.faults)


@pytest.mark.parametrize(
    "name",
    [
        "a.github/workflows/" + "x" * 178 + ".yml", "../../etc/passwd", "/etc/passwd", "..", "a/../../b",
        "\u2025/x", "a\0b", "C:\\x\\y", ".github/workflows/x.yml", "-rf", "a/" * 300 + "b", "~/x", "a//b",
        "％2e％2e/x", "x" * 500,
    ],
)  # fmt: skip
def test_no_file_name_leaves_its_folder_or_hides(name: str) -> None:
    made = file_name(name)
    parts = made.split("/")

    assert len(made) <= 200
    assert all(part and part[0] not in ".-" for part in parts)
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")


# -- schemas -------------------------------------------------------------------------------------------------

EVIL = "^(a+)+$"
LONG = "a" * 60 + "!"
DOUBLING = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {}}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    ("schema", "document", "said"),
    [
        ({"properties": {"a": {"pattern": EVIL}}}, {"a": LONG}, "does not match"),
        ({"propertyNames": {"pattern": EVIL}}, {LONG: 1}, "does not match"),
        ({"patternProperties": {EVIL: {}}, "additionalProperties": False}, {LONG: 1}, "unexpected"),
        ({"patternProperties": {"^x-": {"type": "string"}}}, {"x-a": 1}, "x-a: 1 is not of type 'string'"),
        ({"$schema": DRAFT_7, "$ref": "#/definitions/a", "definitions": {"a": {"pattern": EVIL}}}, LONG, "does not match"),
        ({"$ref": "#"}, 1, "goes in a circle"),
        ({"$ref": "#/$defs/a0", "$defs": DOUBLING}, 1, "steps to check"),
        ({"uniqueItems": True}, [{"a": n} for n in range(20_000)], None),
        ({"uniqueItems": True}, [{"a": 1}, {"a": 1}], "non-unique"),
        ({"multipleOf": 0.1}, 10**400, "cannot be held against it"),
        ({"format": "regex"}, "(" * 100_000, None),
        ({"$id": "http://127.0.0.1:1/x", "$ref": "#/nope"}, 1, "refers to /nope"),
    ],
)  # fmt: skip
def test_schemas_that_would_never_end(schema: Any, document: Any, said: str | None) -> None:
    found = violations(read_schema("a.json", json.dumps(schema)), document)

    assert [said in each.said for each in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"properties": {"a": {"$schema": "x", "pattern": "x"}}}', "$schema within"),
        ('{"pattern": "(?=a)b"}', "has the pattern"),
        ('{"pattern": "(a{1000}){1000}"}', "has the pattern"),
        ('{"patternProperties": {"(": {}}}', "has the pattern ("),
        ('{"patternProperties": {"^a": {}}, "unevaluatedProperties": false}', "use additionalProperties"),
        ('{"not":' * 3_000 + "1" + "}" * 3_000, "has 24,001 characters"),
        ('{"not":' * 900 + "{}" + "}" * 900, "is no"),
        ('{"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "http://127.0.0.1:1/"}', "stays within"),
    ],
)  # fmt: skip
def test_schemas_that_are_refused(schema: str, said: str) -> None:
    with pytest.raises(SchemaBroken) as refused:
        read_schema("a.json", schema)
    assert said in refused.value.message


@pytest.mark.parametrize(
    "schema",
    ["maximum: .nan\n", "patternProperties:\n  1: {}\n", "type: !!set {a, b}\n", "const: 2026-01-01\n"],
)
def test_yaml_that_json_does_not_know_is_a_schema_or_none(schema: str) -> None:
    with suppress(SchemaBroken):
        assert len(violations(read_schema("a.yaml", schema), {"a": 1})) <= 1


# -- answers -------------------------------------------------------------------------------------------------

LARGE = 12_000


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("duration", "1" * LARGE),
        ("number", "1" * LARGE),
        ("number", "1," * LARGE),
        ("percent", "9" * 400),
        ("choice", "1" * 5_000),
        ("list", "a" + " " * LARGE + "b"),
        ("list", "a and " * 2_000),
        ("yes_no", "yes" * LARGE),
        ("service", "checkout " * 2_000),
        ("text", "x" * LARGE),
    ],
)
def test_answers_that_are_too_large_are_refused(kind: FieldType, said: str) -> None:
    field = Field("x", Template("", ()), kind, choices=(Choice("a", "A"),) if kind == "choice" else ())

    with pytest.raises(Invalid):
        parse_value(field, said)


def test_a_run_of_spaces_in_a_list_is_one_space() -> None:
    field = Field("x", Template("", ()), "list")

    assert parse_value(field, "a" + " " * 7_000 + "b, c") == ["a b", "c"]


@pytest.mark.parametrize(
    ("said", "kept"), [("0.00001 s", "0ms"), ("0.0000001 h", "0ms"), ("0.0005 s", "0ms")]
)
def test_a_tiny_duration_is_not_read_as_another(said: str, kept: str) -> None:
    assert parse_value(Field("x", Template("", ()), "duration"), said) == kept


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    "said", ["inf", "nan", "-inf", "1e999", "9" * 400 + "d", float("inf"), "", None, {"name": None}]
)
def test_no_answer_stops_a_filter(name: str, said: Any) -> None:
    assert FILTERS[name](said) is not None
