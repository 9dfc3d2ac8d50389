"""Workflows of GitHub's that come with the repository."""

from __future__ import annotations

from tests.deploy.validators import ROOT, checked


def test_actionlint_has_nothing_to_say_of_a_workflow() -> None:
    workflows = [
        path for folder in (ROOT, ROOT / "knowledge") for path in folder.glob(".github/workflows/*.y*ml")
    ]
    assert workflows
    checked("actionlint", "-no-color", *workflows)
