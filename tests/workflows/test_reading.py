"""From markdown to a workflow: our own notation, other authors' markdown, and what is wrong by file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.workflows.document import LARGEST_WORKFLOW, Workflow
from app.workflows.reading import read

SAMPLES = Path(__file__).parent / "samples"
DOCS = Path(__file__).parents[2] / "docs" / "workflows.md"
PATH = "workflows/it.md"


def faults(text: str, files: dict[str, str] | None = None) -> list[str]:
    return [str(fault) for fault in read(PATH, text, {PATH: text, **(files or {})}).faults]


def workflow(text: str, files: dict[str, str] | None = None) -> Workflow:
    reading = read(PATH, text, {PATH: text, **(files or {})})
    assert reading.workflow is not None, reading.faults
    return reading.workflow


def from_docs() -> str:
    """The workflow that docs/workflows.md lets its reader write."""
    shown = re.search(r"   ````markdown\n(.*?)\n   ````", DOCS.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    return "\n".join(line[3:] for line in shown[1].split("\n"))


def test_the_workflow_of_the_docs_page_is_read_without_a_fault() -> None:
    assert faults(from_docs()) == []
    it = workflow(from_docs())

    assert (it.title, it.triggers) == ("Rollback plan", ("plan a rollback", "rollback plan"))
    assert [phase.name for phase in it.phases] == ["What is released", "The way back", "The plan"]
    names = [field.name for phase in it.phases for field in phase.fields]
    assert names == ["service", "change", "migration", "how", "within", "team"]
    within = it.fields["within"][1]
    assert (within.type, within.maximum) == ("duration", 3600)
    assert it.artifacts[0].media_type == "text/markdown"
    assert not it.plain


def test_markdown_of_another_system_is_read_unchanged() -> None:
    text = (SAMPLES / "service-handover.md").read_text("utf-8")
    it = workflow(text)

    assert it.plain
    assert it.title == "Service Handover Interview"
    assert it.triggers == ("Service Handover Interview",)
    asked = {phase.name: [field.question.source for field in phase.fields] for phase in it.phases}
    assert asked == {
        "Orientation": [
            "What does **{service}** do for its users, in one or two sentences? Pretend I joined yesterday."
        ],
        "What hurts": ["What wakes people up, and what do they do about it at night?"],
        "Context assembly": [],
        "People": ["Who must be asked before anything is changed?"],
        "Write the document": [],
    }
    assert "Mention users, not components." in it.phases[0].prose
    assert "Never record salaries." in it.guidance
    template = it.artifacts[0].template
    assert template.source.startswith("# Handover: [Service]")
    assert "## Access" in template.source
    assert "Keep it under" not in template.source
    assert [".".join(ref.path) for ref in template.refs()] == [
        "service", "team", "today", "orientation", "what_hurts", "vault_path",
    ]  # fmt: skip
    assert faults(text) == [
        f"{PATH}:71: warning: “Phase 6: Celebrate” is never reached: the artifact is made in “Phase 5: Write "
        "the document” before it"
    ]


@pytest.mark.parametrize(
    ("prose", "question"),
    [
        ('Ask: "What do you need?"', "What do you need?"),
        ("> Which service is it?\n> And why?\n\nListen.", "Which service is it?\nAnd why?"),
        ('> **Prompt:** "Who owns it?"', "Who owns it?"),
        ('> "Who owns it?"', "Who owns it?"),
        ('Never say "no". Say “How often does it happen?”', "How often does it happen?"),
        ('Say "Tell me all about it now."', "Tell me all about it now."),
        ('The "happy path" is boring.', None),
        ("Read the README.", None),
    ],
)
def test_a_plain_phase_asks_its_quoted_prompt(prose: str, question: str | None) -> None:
    phase = workflow(f"# T\n## Phase 1: It\n{prose}\n").phases[0]

    assert [field.question.source for field in phase.fields] == ([question] if question else [])


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("## Phase 1: Scope", "Scope"),
        ("# Phase 2 — The way back", "The way back"),
        ("### PHASE iv. People", "People"),
        ("## Phase A) Start", "Start"),
        ("## Phase: Start", "Start"),
        ("## Phase 3", "Phase 3"),
        ("## **Phase 3:** Start", "Start"),
        ("## Phase Targets", "Targets"),
    ],
)
def test_a_phase_is_named_without_its_number(heading: str, name: str) -> None:
    assert [phase.name for phase in workflow(f'Guidance.\n{heading}\n"What is it then?"\n').phases] == [name]


def test_a_heading_in_a_code_block_is_no_phase() -> None:
    it = workflow('# T\n## Phase 1\n"What is it?"\n```sh\n# Phase 2\n```\n')

    assert len(it.phases) == 1


FIELDS = "# T\n## Phase 1: It\n```fields\n{}\n```\n"
TARGET = "- name: target\n  type: percent"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("# T\nNothing else.\n", ":1: error: has no phases; a phase is a heading that", id="none"),
        pytest.param(FIELDS.format("- nam: x"), ":4: error: this field has no name", id="no name"),
        pytest.param(FIELDS.format("- name: Err Rate"), ":4: error: the name “Err Rate” is not usable", id="name"),
        pytest.param(
            FIELDS.format(f"{TARGET}\n{TARGET}"),
            ":6: error: the field target is there already, at line 4",
            id="twice",
        ),
        pytest.param(
            FIELDS.format("- name: x\n  type: percnt"), "has the type percnt, which there is not; did you mean percent?", id="type"
        ),
        pytest.param(FIELDS.format("- name: x\n  type: choice"), "is a choice without choices", id="choices"),
        pytest.param(FIELDS.format("- name: x\n  choices: [a, a]"), "are not all different", id="same choices"),
        pytest.param(FIELDS.format("- name: x\n  min: 5\n  max: 1"), "min above max", id="bounds"),
        pytest.param(FIELDS.format("- name: x\n  min: low"), "min is a number", id="no bound"),
        pytest.param(FIELDS.format("- name: x\n  requird: no"), ":4: warning: requird is not read here; did you mean required?", id="key"),
        pytest.param(FIELDS.format("- name: x\n  default: {{ team }}"), ":5: error: the fields are not valid YAML: a value that begins with {{ must stand in quotation marks", id="braces"),
        pytest.param(FIELDS.format("just words"), ":4: error: fields are a list", id="no list"),
        pytest.param(FIELDS.format("- name: x\n  question: '{% for %}'"), ":4: error: {% for %} is not understood", id="tag"),
        pytest.param("# T\n```fields\n- name: x\n```\n## Phase 1\n\"Is it so?\"\n", ":2: error: stands outside of a phase", id="outside"),
        pytest.param("---\ntriggers: {a: b}\n---\n# T\n## Phase 1\n\"Is it so?\"\n", "", id="mapping"),
        pytest.param("---\ntriggers: [{a: b}]\n---\n# T\n## Phase 1\n\"Is it so?\"\n", ":2: error: triggers is a list of words", id="triggers"),
        pytest.param("---\ntiers: [7]\n---\n# T\n## Phase 1\n\"Is it so?\"\n", ":2: error: tiers are numbers from 1 to 4", id="tiers"),
        pytest.param("---\nfollow_up_cap: many\n---\n# T\n## Phase 1\n\"Is it so?\"\n", ":2: error: follow_up_cap is a whole number", id="cap"),
        pytest.param("---\nartifact: {template: artifacts/slo.yml}\n---\n# T\n## Phase 1\n\"Is it so?\"\n", ":2: error: there is no template artifacts/slo.yml; did you mean artifacts/slo.yaml?", id="template"),
        pytest.param("---\nartifact: {schema: artifacts/s.json}\n---\n# T\n## Phase 1\n\"Is it so?\"\n", ":2: error: there is no schema artifacts/s.json", id="schema"),
        pytest.param("---\nartifact: {schema: artifacts/broken.json}\n---\n# T\n## Phase 1\n\"Is it so?\"\n", "artifacts/broken.json:1: error: is not valid JSON", id="broken schema"),
        pytest.param("---\nartifact: {schema: artifacts/far.json}\n---\n# T\n## Phase 1\n\"Is it so?\"\n", "refers to https://evil.example/s; $ref stays within the file", id="far schema"),
        pytest.param("---\nartifact: {template: artifacts/circle.md}\n---\n# T\n## Phase 1\n\"Is it so?\"\n", "artifacts/half.md:1: error: the template includes itself: artifacts/circle.md → artifacts/half.md → artifacts/circle.md", id="circle"),
        pytest.param("# T\n" + "## Phase 1\n\"Is it so?\"\n" * 200, "has 200 phases, a workflow may have 50", id="phases"),
        pytest.param("# T\n## Phase 1\n" + "x" * 5_000_000, f"has 5,000,015 characters, a workflow may have {LARGEST_WORKFLOW:,}", id="5 MB"),
        pytest.param(FIELDS.format("\n".join(f"- name: f{n}" for n in range(300))), "has 300 fields, a workflow may have 200", id="fields"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, said: str) -> None:
    files = {
        "artifacts/slo.yaml": "a: 1",
        "artifacts/broken.json": "{",
        "artifacts/far.json": '{"$ref": "https://evil.example/s"}',
        "artifacts/circle.md": '{% include "artifacts/half.md" %}',
        "artifacts/half.md": '{% include "artifacts/circle.md" %}',
    }
    found = faults(text, files)

    assert any(said in each for each in found), found
    broken = any(" error: " in each for each in found)
    assert (read(PATH, text, {PATH: text, **files}).workflow is None) is broken


def test_the_largest_workflow_that_is_allowed_is_read_at_once() -> None:
    phases = "".join(f"## Phase {n}: P{n}\n```fields\n- name: f{n}\n```\n" for n in range(50))
    text = f"# T\n{'guidance ' * 100}\n{phases}"

    assert faults(text) == []
    assert len(workflow(text).phases) == 50
