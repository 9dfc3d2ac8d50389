"""The example organisation is real repos, the same everywhere, with the gaps an answer should find."""

from __future__ import annotations

from pathlib import Path

import yaml

from app.knowledge.checking import check
from app.playground.example import BLUEPRINTS, REPOS, service_names, write_repos
from app.storage.tree import read_folder
from tests.knowledge.sources import GitRepo


def head(repo: Path) -> str:
    return GitRepo(repo).output("rev-parse", "main").strip()


def test_each_repo_is_one_commit_on_main_with_the_same_revision_everywhere(tmp_path: Path) -> None:
    for place in ("here", "there"):
        write_repos(tmp_path / place, owner="acme")

    for name in ("blueprints", "knowledge", *service_names()):
        assert head(tmp_path / "here" / name) == head(tmp_path / "there" / name)


def test_the_catalog_leads_to_the_repos(tmp_path: Path) -> None:
    acme = write_repos(tmp_path)

    services = yaml.safe_load((tmp_path / "blueprints" / "services.yaml").read_text())["services"]

    assert {service["name"]: service["repo"] for service in services} == dict(acme.services)
    assert all(Path(url.removeprefix("file://")).is_dir() for url in acme.services.values())


def test_with_an_owner_the_catalog_names_repos_as_github_does(tmp_path: Path) -> None:
    write_repos(tmp_path, owner="umbrella")

    services = yaml.safe_load((tmp_path / "blueprints" / "services.yaml").read_text())["services"]

    assert services[0]["repo"] == "umbrella/checkout"


def test_what_somebody_committed_is_still_there_the_next_day(tmp_path: Path) -> None:
    write_repos(tmp_path)
    revision = GitRepo(tmp_path / "knowledge").commit("system-prompt.md", "Mine.\n")

    write_repos(tmp_path)

    assert head(tmp_path / "knowledge") == revision
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_knowledge_repo_has_no_faults(tmp_path: Path) -> None:
    write_repos(tmp_path)

    assert check(read_folder(tmp_path / "knowledge")) == ()


def test_every_service_has_a_blueprint_and_a_repo_and_one_has_no_readme() -> None:
    services = yaml.safe_load((BLUEPRINTS / "services.yaml").read_text())["services"]
    names = {service["name"] for service in services}

    assert len(names) == 5
    assert names == {path.stem for path in (BLUEPRINTS / "services").iterdir()} == set(service_names())
    assert {name for name in names if not (REPOS / name / "README.md").exists()} == {"reports"}
    assert {dependency for service in services for dependency in service["depends_on"]} <= names


def test_the_documents_disagree_where_a_good_answer_notices() -> None:
    blueprint = (BLUEPRINTS / "services/checkout.md").read_text()
    contract = (BLUEPRINTS / "contracts/checkout-to-payments.md").read_text()

    assert "Client timeout 2 s" in blueprint
    assert "800 ms" in contract
    assert "No load test yet" in blueprint
