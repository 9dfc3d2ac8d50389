"""Golden conversations hold while behaviour is the same, and show as a diff what a change changes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from app.cli import app
from app.conversations.golden import GoldenBroken, check, conversations, play, read, update
from app.knowledge.packaged import packaged_path
from app.storage.tree import Tree, read_folder
from app.workflows.checking import RULES
from tests.workflows.test_reading import DOCS, from_docs

PLAN = "golden/rollback.yaml"
SAID = """\
# How a rollback is planned.
services:
  - {name: checkout, tier: 1, team: payments}
today: 2026-01-05
say:
  - let's plan a rollback for checkout
  - It applies the promotion before charging.
  - U2: perhaps
  - "no"
  - why do you ask?
  - revert the deploy
  - what does tier 1 ask of us?
  - "yes"
"""
EXPECTED = """\
expect:
  answers:
    service: checkout
    change: It applies the promotion before charging.
    migration: false
    how: revert the deploy
    within: 5m
  files:
    rollback-checkout.md: |
      # Rollback of checkout

      It applies the promotion before charging.
      1. payments: revert the deploy, within 5m.
"""


def knowledge(golden: str = SAID + EXPECTED, workflow: str | None = None) -> Tree:
    """A knowledge repo with the workflow of the docs page and one golden conversation."""
    workflow = from_docs() if workflow is None else workflow
    files = {
        "system-prompt.md": "Answer from the documents.",
        "tiers/tier-1.md": "# Tier 1\n\nAvailability of 99.95 %.\n",
        "workflows/rollback-plan.md": workflow,
        PLAN: golden,
    }
    return Tree("r1", files)


def folder_of(tree: Tree, folder: Path) -> Path:
    for path, text in tree.files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


async def test_those_of_our_own_knowledge_hold() -> None:
    differences, count = await check(read_folder(packaged_path()), rules=RULES)
    assert [str(each) for each in differences] == []
    assert count >= 1


async def test_fields_and_files_are_as_expected() -> None:
    assert await check(knowledge(), rules=RULES) == ((), 1)


async def test_texts_are_what_a_thread_is_told() -> None:
    happened = await play(read(PLAN, SAID), knowledge(), rules=RULES)
    assert happened.text is not None
    begun, _, refused, _, why, _, aside, last = happened.text
    assert begun.startswith("**Rollback plan** for **checkout**: 2 phases.")
    assert "What does the release change, in one sentence?" in begun
    assert "Does it change a schema?" in refused
    assert "How do you get back?" in why
    assert "Availability of 99.95 %" in aside
    assert "Within what time?" in aside
    assert "I attached `rollback-checkout.md`" in last


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("propose: 5m", "propose: 10m", ["-  within: 5m", "+  within: 10m"]),
        (
            "# Rollback of {{",
            "# Way back of {{",
            ["-    # Rollback of checkout", "+    # Way back of checkout"],
        ),
        (
            "triggers: [plan a rollback,",
            "triggers: [plan the way back,",
            ["-answers:", "-  service: checkout"],
        ),
    ],
)
async def test_a_change_of_behaviour_is_a_diff(old: str, new: str, told: list[str]) -> None:
    assert old in from_docs()
    changed = from_docs().replace(old, new).replace(", rollback plan]", "]")
    [difference], _ = await check(knowledge(workflow=changed), rules=RULES)
    assert str(difference).startswith(f"{PLAN}: error: ")
    for line in told:
        assert line in difference.diff.splitlines()


async def test_what_nobody_expects_anything_of_is_not_compared() -> None:
    only = SAID + "expect:\n  answers: {change: It does.}\n"
    [difference], _ = await check(knowledge(only))
    assert "text" not in difference.diff
    assert "rollback-checkout.md" not in difference.diff


async def test_updating_writes_what_happens_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = folder_of(knowledge(SAID), tmp_path)
    [undecided], _ = await check(read_folder(folder), rules=RULES)
    assert "+answers:" in undecided.diff.splitlines()
    assert await update(folder, read_folder(folder), rules=RULES) == [PLAN]
    text = (folder / PLAN).read_text("utf-8")
    assert text.startswith(SAID)
    written = yaml.safe_load(text)["expect"]
    assert written["answers"] == yaml.safe_load(EXPECTED)["expect"]["answers"]
    assert len(written["text"]) == 8
    assert await check(read_folder(folder), rules=RULES) == ((), 1)
    assert await update(folder, read_folder(folder), rules=RULES) == []


async def test_updating_keeps_to_the_parts_that_were_expected(tmp_path: Path) -> None:
    folder = folder_of(knowledge(SAID + "expect:\n  answers: {}\n"), tmp_path)
    await update(folder, read_folder(folder), rules=RULES)
    assert yaml.safe_load((folder / PLAN).read_text("utf-8"))["expect"].keys() == {"answers"}


async def test_what_would_be_looked_up_is_given() -> None:
    workflow = from_docs().replace("propose: 5m", 'propose: "{{ deploys.usual }}"')
    workflow = workflow.replace("triggers:", "wants: [deploys]\ntriggers:", 1)
    golden = replace(knowledge(SAID + EXPECTED.replace("5m", "7m"), workflow), revision="r2")
    [without], _ = await check(golden, rules=RULES)
    assert "within" in without.diff
    found = knowledge("facts: {deploys: {usual: 7m}}\n" + SAID + EXPECTED.replace("5m", "7m"), workflow)
    assert await check(found, rules=RULES) == ((), 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("say: [", "golden/rollback.yaml:1: error: is not valid YAML"),
        ("- a\n", "golden/rollback.yaml:1: error: is no mapping"),
        ("about: x\n", "say: field required"),
        ("say: []\n", "say: list should have at least 1 item"),
        ("say: [hi]\nexpct: {}\n", "expct: extra inputs"),
        ("say: [hi]\nexpect: {txt: []}\n", "expect.txt: extra inputs"),
        ("a: &a [1]\nsay: *a\n", "is not valid YAML"),
        ("say: [" + "hi, " * 300 + "]\n", "say: list should have at most 200 items"),
    ],
)
async def test_one_that_cannot_be_read_says_where(text: str, told: str) -> None:
    with pytest.raises(GoldenBroken) as broken:
        await check(knowledge(text))
    assert told in broken.value.sentence


def test_each_workflow_that_ships_has_one_with_what_it_makes() -> None:
    tree = read_folder(packaged_path())
    shipped = {path.rpartition("/")[2].removesuffix(".md") for path, _ in tree.under("workflows", ".md")}
    golden = {
        path.partition("/")[2].removesuffix(".yaml"): read(path, text) for path, text in conversations(tree)
    }

    assert shipped <= golden.keys()
    for name in shipped:
        expected = golden[name].expect
        assert expected is not None
        assert expected.answers
        assert expected.files
    assert golden["slo-workshop"].expect.text  # type: ignore[union-attr]


async def test_what_a_standard_asks_for_is_seen_in_what_a_workflow_makes() -> None:
    tree = read_folder(packaged_path())
    tier = {
        "tiers/tier-1.md": tree.files["tiers/tier-1.md"].replace("99.95 % per journey", "99.9 % per journey")
    }
    changed = replace(tree, revision="r2", files={**tree.files, **tier})
    differences, _ = await check(changed, rules=RULES, paths=["golden/slo-workshop.yaml"])
    told = str(differences[0]).splitlines()

    assert "-  availability_target[pay]: 99.95" in told
    assert "+  availability_target[pay]: 99.9" in told
    assert any(line.startswith("+") and "> 13.44 * 0.001" in line for line in told)


def test_the_recipe_for_ci_is_a_workflow_that_github_takes(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "actionlint"
    if not program.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("actionlint is not installed (the extra dev)")
    recipe = packaged_path() / ".github" / "workflows" / "knowledge.yml"
    broken = tmp_path / "broken.yml"
    broken.write_text(recipe.read_text("utf-8").replace("runs-on: ubuntu-latest", "runs-on: ${{ nowhere }}"))

    def lint(file: Path) -> subprocess.CompletedProcess[str]:
        command = [program, "-shellcheck=", "-pyflakes=", file]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert lint(recipe).stdout == ""
    assert lint(recipe).returncode == 0
    assert "nowhere" in lint(broken).stdout


def test_the_recipe_for_ci_runs_on_our_own_knowledge() -> None:
    recipe = yaml.safe_load((packaged_path() / ".github" / "workflows" / "knowledge.yml").read_text("utf-8"))
    steps = [step.get("run", "") for step in recipe["jobs"]["check"]["steps"]]
    commands = [run.split()[1:-1] for run in steps if run.startswith("sre-agent ") and run.endswith(" .")]
    assert commands == [["knowledge", "check"], ["knowledge", "golden"]]
    assert recipe["permissions"] == {"contents": "read"}
    for command in commands:
        done = CliRunner().invoke(app, [*command, str(packaged_path())])
        assert done.exit_code == 0, done.output


async def test_the_conversation_of_the_docs_page_makes_the_file() -> None:
    page = DOCS.read_text("utf-8").partition("## Review a change")[2]
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    happened = await play(read(PLAN, shown), knowledge(shown), rules=RULES)
    assert happened.files is not None
    assert "payments: revert the deploy, within 5m." in happened.files["rollback-checkout.md"]
