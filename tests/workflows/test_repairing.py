"""What of a model's repair is taken: what makes a file valid and changes nothing else."""

from __future__ import annotations

import pytest
import yaml

from app.workflows.rendering import Handed, faults_of
from app.workflows.repairing import Edit, NotRepaired, Repair, may_be_repaired, prompt, repaired

SCHEMA = {
    "type": "object",
    "required": ["service", "target"],
    "additionalProperties": False,
    "properties": {
        "service": {"type": "string"},
        "target": {"type": "number", "minimum": 90},
        "owner": {"type": "string"},
        "note": {"type": "string"},
    },
}
UNPARSED = "service: checkout\n# by Maya\nnote: pay: not before 99.5\ntarget: 99.9\n"
UNFIT = 'service: checkout\n# by Maya\ntarget: "99.9"\nnote: pay\n'


def handed(content: str, *filled: str) -> Handed:
    faults = faults_of(content, "application/yaml", SCHEMA)
    return Handed("slo.yaml", "SLO", "application/yaml", content, (), faults, filled=filled, schema=SCHEMA)


def edit(first: int, last: int, text: str) -> Repair:
    return Repair(edits=[Edit(first=first, last=last, text=text)])


def test_what_cannot_be_parsed_is_quoted() -> None:
    file = handed(UNPARSED, "checkout", "pay", "not before 99.5", "99.9")
    assert file.faults
    after = repaired(file, edit(3, 3, 'note: "pay: not before 99.5"'))

    assert after.faults == ()
    assert yaml.safe_load(after.content)["note"] == "pay: not before 99.5"
    assert after.content.splitlines()[1] == "# by Maya"


@pytest.mark.parametrize(
    ("first", "last", "text", "why"),
    [
        (3, 3, "note: pay", "changes words"),
        (3, 3, 'note: "pay: not before 99,5"', "changes words"),
        (3, 3, 'note: "pay: not before 99 5"', "changes words"),
        (2, 3, 'note: "pay: not before 99.5"', "changes words"),
        (3, 3, "note: pay: - not before 99.5", "still cannot be parsed"),
        (3, 3, 'note: "pay not before. 99.5"', "loses “not before 99.5”"),
        (9, 9, "x", "are not there"),
        (1, 0, "", "changes nothing"),
    ],
)
def test_what_cannot_be_parsed_keeps_its_words(first: int, last: int, text: str, why: str) -> None:
    file = handed(UNPARSED, "checkout", "pay", "not before 99.5", "99.9")

    with pytest.raises(NotRepaired, match=why):
        repaired(file, edit(first, last, text))


def test_what_breaks_its_schema_is_changed_there_only() -> None:
    file = handed(UNFIT, "checkout", "99.9", "pay")
    assert file.faults == ("target: '99.9' is not of type 'number'",)
    after = repaired(file, edit(3, 3, "target: 99.9"))

    assert after.faults == ()
    assert yaml.safe_load(after.content) == {"service": "checkout", "target": 99.9, "note": "pay"}


@pytest.mark.parametrize(
    ("first", "last", "text", "why"),
    [
        (3, 3, "target: 99.5", "loses “99.9”"),
        (3, 4, "target: 99.9\nnote: paying", "changes note"),
        (3, 4, "target: 99.9", "changes note"),
        (3, 3, "target: 99.9\nowner: Maya", "changes owner"),
        (1, 3, "service: payments\ntarget: 99.9", "changes service"),
        (2, 3, "target: 99.9", "changes comments"),
        (3, 3, "target: 99.9\n---", "changes the documents"),
    ],
)
def test_what_breaks_its_schema_keeps_everything_else(first: int, last: int, text: str, why: str) -> None:
    with pytest.raises(NotRepaired, match=why):
        repaired(handed(UNFIT, "checkout", "99.9", "pay"), edit(first, last, text))


def test_an_answer_that_the_schema_forbids_is_not_changed_into_another() -> None:
    file = handed("service: checkout\ntarget: 50\n", "checkout", "50")

    with pytest.raises(NotRepaired, match="loses “50”"):
        repaired(file, edit(2, 2, "target: 90"))


def test_a_key_that_is_missing_is_added_as_a_todo_and_a_todo_is_never_filled_in() -> None:
    missing = handed("service: checkout\n", "checkout")
    after = repaired(missing, edit(2, 1, "target: TODO(target)"))
    assert (after.faults, after.todos) == ((), ("target",))

    todo = handed('service: 5\nowner: "TODO(owner)"\ntarget: 99\n', "TODO(owner)", "5")
    with pytest.raises(NotRepaired, match="changes owner"):
        repaired(todo, edit(1, 2, 'service: "5"\nowner: Maya'))


def test_two_edits_of_one_line_are_refused() -> None:
    twice = Repair(edits=[Edit(first=3, last=3, text="target: 99.9"), Edit(first=3, last=4, text="x: 1")])

    with pytest.raises(NotRepaired, match="edited twice"):
        repaired(handed(UNFIT), twice)


def test_the_model_is_told_the_faults_the_schema_and_the_lines() -> None:
    said = prompt(handed(UNFIT), "It changes note, which is not faulty.")

    assert said.startswith(
        "Faults:\n- target: '99.9' is not of type 'number'\n\nYour last repair was not taken: It"
    )
    assert '"minimum": 90' in said
    assert '3: target: "99.9"\n4: note: pay\n</file>' in said


def test_what_is_valid_or_too_large_is_not_shown_to_it() -> None:
    assert may_be_repaired(handed(UNFIT))
    assert not may_be_repaired(handed("service: checkout\ntarget: 99\n"))
    assert not may_be_repaired(handed(UNFIT + "note2: x\n" * 10_000))
