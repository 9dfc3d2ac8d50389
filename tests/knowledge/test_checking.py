"""Each thing that can be wrong with a knowledge repo, with the place that is named."""

from __future__ import annotations

import pytest

from app.knowledge.checking import LONGEST_SYSTEM_PROMPT, check
from app.knowledge.packaged import packaged_path
from app.storage.tree import LARGEST_FILE, Tree, read_folder

PROMPT = {"system-prompt.md": "# Agent\nAnswer.\n"}


def found(files: dict[str, str], left_out: tuple[str, ...] = ()) -> list[str]:
    return [str(fault) for fault in check(Tree("r1", files, left_out=left_out))]


@pytest.mark.parametrize(
    ("files", "place", "words"),
    [
        pytest.param({"system-prompt.md": ""}, "system-prompt.md:1: error", "is empty", id="empty prompt"),
        pytest.param(
            {"system-prompt.md": "---\ntitle: x\n---\n\n"},
            "system-prompt.md:1: error",
            "is empty",
            id="no body",
        ),
        pytest.param(
            {"system-prompt.md": "a\n" * (LONGEST_SYSTEM_PROMPT // 2) + "b\n"},
            "system-prompt.md:20001: error",
            "40,000 are allowed",
            id="long prompt",
        ),
        pytest.param(
            {"standards/a.md": "---\ntitle: A\ntags: [slo\n---\n# A\n"},
            "standards/a.md:3: error",
            "not valid YAML",
            id="front matter",
        ),
        pytest.param(
            {"standards/a.md": "---\nsince: 2024-13-45\n---\n# A\n"},
            "standards/a.md:2: error",
            "month must be in 1..12",
            id="impossible date",
        ),
        pytest.param(
            {"workflows/a.md": "---\ntitle: A\n\n# A\n"},
            "workflows/a.md:1: error",
            "never closed",
            id="open front matter",
        ),
        pytest.param({"tiers/tier-5.md": "x"}, "tiers/tier-5.md:1: error", "tiers are 1 to 4", id="tier 5"),
        pytest.param({"tiers/tier-0.md": "x"}, "tiers/tier-0.md:1: error", "tiers are 1 to 4", id="tier 0"),
        pytest.param(
            {"tiers/tier-1.md": "x", "tiers/tier_1.md": "y"},
            "tiers/tier_1.md:1: error",
            "already in tiers/tier-1.md",
            id="tier twice",
        ),
        pytest.param(
            {"tiers/tier-1.md": "---\ntier: 2\n---\nx"},
            "tiers/tier-1.md:1: error",
            "says tier 2, the name of the file says 1",
            id="tier contradicts itself",
        ),
        pytest.param(
            {"tiers/gold.md": "x"}, "tiers/gold.md:1: warning", "is not read", id="tier without level"
        ),
        pytest.param(
            {"artifacts/slo.yaml": "name: {{ service }}-slo\ntags:\n  - a\n - b\n"},
            "artifacts/slo.yaml:4: error",
            "not valid YAML",
            id="yaml",
        ),
        pytest.param(
            {"templates/slo.json": '{"target": {{ target }},\n "name": }\n'},
            "templates/slo.json:2: error",
            "not valid JSON",
            id="json",
        ),
        pytest.param(
            {"artifacts/deep.json": "[" * 100_000},
            "artifacts/deep.json:1: error",
            "nested too deeply",
            id="deep json",
        ),
        pytest.param(
            {"artifacts/deep.yaml": "[" * 5_000},
            "artifacts/deep.yaml:1: error",
            "nested too deeply",
            id="deep yaml",
        ),
        pytest.param(
            {"artifacts/bell.yaml": "a: 1\nb: \x07\n"},
            "artifacts/bell.yaml:2: error",
            "#x0007 is not allowed",
            id="control character",
        ),
        pytest.param(
            {"standards/a.md": "# SLOs\n", "standards/b.md": "text\n\n#  slos\n"},
            "standards/b.md:3: error",
            "of standards/a.md",
            id="one title twice",
        ),
        pytest.param(
            {"workflows/a.md": "---\ntitle: A\n---\n# A\n\n```yaml\nx: 1\n"},
            "workflows/a.md:6: error",
            "never closed",
            id="open fence",
        ),
        pytest.param(
            {"standards/a.md": "# A\n\n~~~\n```\n"},
            "standards/a.md:3: error",
            "add a line ~~~",
            id="wrong end",
        ),
        pytest.param(
            {"workflows/a.md": "# A\n```markdown\n# B\n```bash\nls\n```\n```\n"},
            "workflows/a.md:7: warning",
            "ends the outer one",
            id="fence in a fence",
        ),
        pytest.param(
            {"standards/a.md": "# A\n\nfirst\nsee [b](../tiers/tier-9.md#x)\n"},
            "standards/a.md:4: warning",
            "leads to nothing",
            id="broken link",
        ),
        pytest.param(
            {"standards/a.md": "# A\n[b](../../other/b.md)\n"},
            "standards/a.md:2: warning",
            "leads to nothing",
            id="link out of the repo",
        ),
        pytest.param({"runbooks/a.md": "\n"}, "runbooks/a.md:1: warning", "is empty", id="empty runbook"),
        pytest.param(
            {"standard/a.md": "# A\n"},
            "standard/:1: warning",
            "did you mean standards/?",
            id="misspelt folder",
        ),
        pytest.param({"src/a.py": ""}, "src/:1: warning", "is not read", id="unknown folder"),
        pytest.param({"runbooks/a.md": "a\nb\0c"}, "runbooks/a.md:2: error", "is binary", id="binary"),
        pytest.param(
            {"artifacts/big.txt": "x" * (LARGEST_FILE + 1)},
            "artifacts/big.txt:1: error",
            "larger than 5 MB",
            id="too large",
        ),
    ],
)
def test_a_fault_is_named_with_its_file_and_line(files: dict[str, str], place: str, words: str) -> None:
    faults = found({**PROMPT, **files})

    assert [fault for fault in faults if fault.startswith(place + ": ") and words in fault], faults
    assert len(faults) == 1


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "is missing"),
        ({"knowledge/system-prompt.md": "x"}, "there is knowledge/system-prompt.md"),
        ({"SYSTEM_PROMPT.md": "x"}, "there is SYSTEM_PROMPT.md"),
    ],
)
def test_a_missing_system_prompt_is_an_error_that_says_where_it_may_be(
    files: dict[str, str], hint: str
) -> None:
    errors = [fault for fault in found(files) if "error" in fault]

    assert len(errors) == 1
    assert errors[0].startswith("system-prompt.md:1: error: is missing")
    assert hint in errors[0]


def test_a_system_prompt_from_elsewhere_makes_the_repos_own_one_optional() -> None:
    assert check(Tree("r1", {}), needs_system_prompt=False) == ()


def test_files_that_could_not_be_read_are_errors_where_text_was_meant() -> None:
    faults = found(PROMPT, left_out=("artifacts/slo.yaml", "runbooks/map.png", "attic/old.yaml"))

    assert [fault.partition(": cannot")[0] for fault in faults] == [
        "artifacts/slo.yaml:1: error",
        "runbooks/map.png:1: warning",
    ]


def test_an_unreadable_system_prompt_is_named_once() -> None:
    assert [str(fault)[:26] for fault in check(Tree("r1", {}, left_out=("system-prompt.md",)))] == [
        "system-prompt.md:1: error:"
    ]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"standards/a.md": "---\n\nNote: a: b\n\n---\n# A\n"}, id="horizontal rules"),
        pytest.param({"standards/a.md": "---\n"}, id="only a rule"),
        pytest.param({"standards/a.md": "\ufeff---\r\ntitle: A\r\n---\r\n# A\r\n"}, id="windows"),
        pytest.param({"artifacts/a.yaml": "{% for s in x %}\n- {{ s }}\n{% endfor %}\n"}, id="a program"),
        pytest.param(
            {"artifacts/a.yaml": "a: {{ x }}-{{ y }}\n{{ k }}: ${V}%\n---\nb: !Ref c\n"}, id="placeholders"
        ),
        pytest.param({"artifacts/a.json": '{"a": {{ x }}, "{{ k }}": "${V}"}'}, id="json placeholders"),
        pytest.param(
            {"templates/a.md": "---\ntitle: {{ service }} runbook\n---\n[x]({{ url }})\n"}, id="template"
        ),
        pytest.param(
            {"standards/a.md": "[p](/system-prompt.md) [f](../standards) [w](https://a.example/x)"},
            id="links",
        ),
        pytest.param({"standards/a.md": "[s](b%20c.md#top)", "standards/b c.md": "x"}, id="spaces"),
        pytest.param({"standards/a.md": "x", "standards/sub/a.md": "x"}, id="no titles to be equal"),
        pytest.param(
            {"workflows/a.md": "- do\n  ```sh\n  ls\n  ```\n> ```\n> x\n> ```\n"}, id="fences inside"
        ),
        pytest.param({"tiers/README.md": "x", ".github/a.yml": "["}, id="for people"),
    ],
)
def test_ordinary_files_have_no_faults(files: dict[str, str]) -> None:
    assert found({**PROMPT, **files}) == []


def test_the_knowledge_that_is_shipped_has_no_faults() -> None:
    assert check(read_folder(packaged_path())) == ()
