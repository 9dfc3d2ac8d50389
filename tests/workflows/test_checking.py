"""`knowledge check` on workflows: file, line, and what is wrong; and what ships is without a fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.knowledge.checking import check
from app.knowledge.keeping import Keeper
from app.knowledge.packaged import packaged_path
from app.storage.tree import Tree, read_folder
from app.workflows.checking import RULES
from tests.workflows.play import FILES, SAMPLES
from tests.workflows.test_reading import from_docs

PROMPT = {"system-prompt.md": "# Agent\nAnswer.\n"}
SLO = (SAMPLES / "slo.md").read_text("utf-8")


def found(workflow: str, **files: str) -> list[str]:
    given = {path.replace("__", "/"): text for path, text in files.items()}
    tree = Tree("r1", {**PROMPT, **FILES, "workflows/it.md": workflow, **given})
    return [str(fault) for fault in check(tree, more=RULES)]


def test_what_ships_has_no_fault() -> None:
    assert [str(fault) for fault in check(read_folder(packaged_path()), more=RULES)] == []


@pytest.mark.parametrize("text", [SLO, from_docs()], ids=["sample", "docs"])
def test_good_workflows_have_no_fault(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{{ service.team }}", "{{ service.teem }}", "it.md:23: warning: {{ service.teem }} is unknown"),
        ("{{ service.team }}", "{{ target }}", "it.md:23: warning: target is asked later than this"),
        ("wants: [baseline]", "confirm: false", "it.md:33: warning: {{ baseline.availability }} is unknown"),
        ("each: journeys", "each: journys", "it.md:27: error: “Targets” is never reached: journys is no field of type list"),
        ("each: journeys", "each: team", "it.md:27: error: “Targets” is never reached: team is no field of type list"),
        ("min: 90", "min: 90\n    example: about ten", "it.md:33: error: the example of target is not valid"),
        ("max: 5\n", "max: 5\n- name: lonely\n  default: '{{ nobody }}'\n", "it.md:23: warning: {{ nobody }} is unknown"),
        ("## Phase 3: Check\n", "## Phase 3: Check\n\nNothing.\n\n## Phase 4: More\n", "it.md:44: warning: “Check” asks nothing and wants nothing"),
    ],
)  # fmt: skip
def test_names_and_walks_are_checked(old: str, new: str, said: str) -> None:
    assert old in SLO
    faults = found(SLO.replace(old, new, 1))

    assert any(said in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("target: {{ journey.target }}", "goal: {{ journey.target }}", "artifacts/slo.yaml:1: warning: filled in with examples, slos.0: 'target' is a required property"),
        ("target: {{ journey.target }}", 'target: "{{ journey.target }}"', "slos.0.target: '90' is not of type 'number'"),
        ("- name: {{ journey }}", "- name: {{ journey }}: x", "is not valid YAML"),
        ("team: {{ team }}", "team: {{ teem }}", "artifacts/slo.yaml:2: warning: {{ teem }} is unknown"),
        ("{% endfor %}", "", "artifacts/slo.yaml:4: error: this tag has no {% endfor %}"),
        ("team: {{ team }}", '{% include "artifacts/slo.yaml" %}', "error: the template includes itself"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_right_is_told_before_anybody_uses_it(
    old: str, new: str, said: str
) -> None:
    template = FILES["artifacts/slo.yaml"]
    assert old in template
    faults = found(SLO, artifacts__slo__yaml="", **{"artifacts/slo.yaml": template.replace(old, new)})

    assert any(said in fault for fault in faults), faults


def test_one_trigger_starts_one_workflow() -> None:
    assert any(
        "workflows/other.md:1: warning: “define slos” starts workflows/it.md already" in fault
        for fault in found(SLO, **{"workflows/other.md": SLO})
    )


def test_the_command_names_a_broken_workflow(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "system-prompt.md").write_text("# Agent\nAnswer.\n")
    (tmp_path / "workflows" / "broken.md").write_text("# T\n## Phase 1\n```fields\n- nam: x\n```\n")
    result = CliRunner().invoke(app, ["knowledge", "check", str(tmp_path)])

    assert result.exit_code == 1
    assert "workflows/broken.md:4: error: this field has no name; it begins with `- name: …`" in result.output


class _Folder:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    async def refresh(self) -> Tree:
        return self.tree

    async def tree_at(self, revision: str) -> Tree | None:
        return None


async def test_a_revision_with_a_broken_workflow_is_refused_and_the_last_good_one_serves() -> None:
    source = _Folder(Tree("r1", {**PROMPT, **FILES, "workflows/slo.md": SLO}))
    keeper = Keeper(source, rules=RULES)
    await keeper.refresh()
    source.tree = Tree("r2", {**PROMPT, "workflows/slo.md": "# T\nno phases\n"})
    await keeper.refresh()

    assert keeper.current.revision == "r1"
    assert keeper.refusal is not None
    assert "has no phases" in keeper.refusal.faults[0].message
