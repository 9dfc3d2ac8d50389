"""What becomes of the files: plain ones load as they are, broken ones are refused with all reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.knowledge.loading import KnowledgeBroken, load
from app.knowledge.models import Document
from app.knowledge.packaged import packaged_path
from app.storage.tree import Tree, read_folder

PLAIN = {
    "system-prompt.md": "You are the SRE of Initech.\n\nBe brief.\n",
    "README.md": "How we use this.\n",
    "standards/slos.md": "# Our SLOs\n\nEvery service has one.\n",
    "standards/alerts.md": "Alerts are rare.\n",
    "tiers/tier-1.md": "# Tier 1\n\n99.95 %\n",
    "tiers/tier-2.md": "# Tier 2\n\n99.9 %\n",
    "workflows/new-service.md": "# Workflow: New service\n\n## Phase 1\n\n> Who owns it?\n",
    "artifacts/slo-template.yaml": "name: {{service}}\ntarget: ${TARGET}\n",
}


def test_a_plain_markdown_repo_of_another_team_loads_unchanged() -> None:
    knowledge = load(Tree("4f1c2ab", PLAIN, web_url="https://git.example/k/blob/4f1c2ab"))

    documents = (
        knowledge.system_prompt,
        *knowledge.standards,
        *knowledge.tiers.values(),
        *knowledge.workflows,
        *knowledge.artifacts,
    )
    assert {document.path: document.text for document in documents} == {
        path: text for path, text in PLAIN.items() if path != "README.md"
    }
    assert [document.title for document in knowledge.standards] == ["Alerts", "Our SLOs"]
    assert list(knowledge.tiers) == [1, 2]
    assert knowledge.faults == ()
    assert knowledge.url(knowledge.standards[0]) == "https://git.example/k/blob/4f1c2ab/standards/alerts.md"


def test_everything_but_the_system_prompt_may_be_absent() -> None:
    knowledge = load(Tree("r1", {"system-prompt.md": "Answer."}))

    assert (knowledge.standards, dict(knowledge.tiers), knowledge.artifacts) == ((), {}, ())


def test_front_matter_is_kept_apart_and_lines_stay_those_of_the_file() -> None:
    text = "---\ntitle: Limits\nowner: SRE\n---\n# Heading\n\nRule.\n"
    workflow = "---\ntriggers: [launch]\n---\n# Launch\n"
    knowledge = load(
        Tree("r1", {"system-prompt.md": "Answer.", "standards/a.md": text, "workflows/launch.md": workflow})
    )

    (standard,) = knowledge.standards
    assert standard.title == "Limits"
    assert standard.text == "# Heading\n\nRule.\n"
    assert text.split("\n")[standard.first_line - 1] == "# Heading"
    assert standard.front_matter["owner"] == "SRE"
    assert knowledge.workflows[0].text == workflow
    assert knowledge.workflows[0].front_matter == {"triggers": ["launch"]}


def test_a_broken_revision_is_refused_with_all_its_errors_and_no_warnings() -> None:
    files = {"tiers/tier-7.md": "x", "artifacts/a.json": "{", "docs/a.md": "x"}

    with pytest.raises(KnowledgeBroken) as refused:
        load(Tree("bad1", files))

    assert [fault.path for fault in refused.value.faults] == [
        "artifacts/a.json",
        "system-prompt.md",
        "tiers/tier-7.md",
    ]
    assert "bad1" in refused.value.sentence
    assert "artifacts/a.json:1: error: is not valid JSON" in refused.value.sentence


def test_warnings_travel_with_the_knowledge() -> None:
    knowledge = load(Tree("r1", {"system-prompt.md": "[x](standards/none.md)"}))

    assert [str(fault) for fault in knowledge.faults] == [
        "system-prompt.md:1: warning: the link to standards/none.md leads to nothing in this repo"
    ]


def test_a_system_prompt_of_ones_own_takes_the_place_of_the_repos() -> None:
    own = Document("prompt.md", "Mine", "Answer in verse.")

    assert load(Tree("r1", {}), system_prompt=own).system_prompt is own


def test_the_shipped_knowledge_has_all_its_parts() -> None:
    knowledge = load(read_folder(packaged_path()))

    assert list(knowledge.tiers) == [1, 2, 3, 4]
    assert {document.path for document in knowledge.standards} >= {
        "standards/slos.md",
        "standards/alerting.md",
    }
    assert "artifacts/slo-template.yaml" in {document.path for document in knowledge.artifacts}
    assert {document.path for document in knowledge.workflows} >= {
        f"workflows/{name}.md"
        for name in (
            "slo-workshop",
            "runbook-drafter",
            "readme-drafter",
            "failure-modes",
            "alerting-review",
            "production-readiness",
        )
    }
    assert "`conclude`" in knowledge.system_prompt.text


def test_the_four_tiers_answer_the_same_questions() -> None:
    def matters(document: Document) -> list[str]:
        return [line.split("|")[1].strip() for line in document.text.splitlines() if line.startswith("| ")]

    first, *others = (matters(document) for document in load(read_folder(packaged_path())).tiers.values())

    assert len(first) > 10
    assert all(other == first for other in others)


def test_the_packaged_folder_is_there() -> None:
    assert (packaged_path() / "system-prompt.md").is_file()
    assert isinstance(packaged_path(), Path)
