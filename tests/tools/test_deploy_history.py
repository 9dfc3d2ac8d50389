"""What was deployed, as the model reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from app.context.library import Library
from app.settings import Endpoint
from app.sources.argocd import ArgoCd
from app.sources.github_changes import GitHubChanges
from app.storage.tree import Tree
from app.tools import deploy_history
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.changes import FakeArgoCd, FakeGitHub, application, commit, sha

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SERVICES = "services:\n- {name: checkout, aliases: [cart], repo: acme/checkout}\n- {name: payments}\n"


@dataclass(frozen=True)
class Blueprints:
    async def refresh(self) -> Tree:
        return Tree("r1", {"services.yaml": SERVICES})

    async def tree_at(self, revision: str) -> Tree | None:
        return None


@dataclass
class Systems:
    argo: FakeArgoCd
    hub: FakeGitHub
    argocd: ArgoCd | None
    github_changes: GitHubChanges | None
    library: Library

    async def ask(self, about: str | None = "checkout", **arguments: Any) -> Executed:
        made = deploy_history.tool(self)
        assert made is not None
        scope = ToolScope(service=about, clock=lambda: NOON)
        return await execute(Catalogue([made]), "deploy_history", arguments, scope=scope, limit_bytes=4096)


@pytest.fixture
async def systems() -> AsyncIterator[Systems]:
    library = Library(Blueprints())
    await library.refresh()
    async with FakeArgoCd() as argo, FakeGitHub() as hub:
        argocd, github = ArgoCd(argo.endpoint), GitHubChanges(Endpoint(hub.url))
        yield Systems(argo, hub, argocd, github, library)
        await argocd.aclose()
        await github.aclose()


async def test_a_rollout_is_told_with_the_commits_it_brought(systems: Systems) -> None:
    systems.argo.applications = [
        application(
            "checkout",
            (sha("a"), "2026-11-18T09:00:00Z"),
            (sha("b"), "2026-11-20T11:40:00Z"),
            repo=f"{systems.hub.url}/acme/checkout.git",
        ),
        application("payments", (sha("c"), "2026-11-20T11:00:00Z")),
    ]
    systems.hub.commits = [commit("b", "2026-11-20T11:00:00Z", "Shrink the pool (#31)")]
    systems.hub.files = [{"filename": "app/db.py"}]
    done = await systems.ask()

    assert done.text.splitlines() == [
        "1 rollout of checkout, 2026-11-19 12:00:00–2026-11-20 12:00:00 UTC:",
        "- 2026-11-20 11:40:00 checkout bbbbbbbb, by automated",
        "  replaced aaaaaaaaaaaa",
        "  - bbbbbbbb 2026-11-20 11:00:00 #31 Shrink the pool — maya",
        "  files: app/db.py",
    ]
    assert done.sources[0].url == f"{systems.argo.url}/applications/argocd/checkout"


async def test_all_services_can_be_asked_for_newest_first(systems: Systems) -> None:
    systems.argo.applications = [
        application("checkout", (sha("b"), "2026-11-20T11:40:00Z")),
        application("payments", (sha("c"), "2026-11-20T11:50:00Z")),
    ]
    done = await systems.ask(service="all", hours=1)

    assert [line.split()[3] for line in done.text.splitlines()[1:]] == ["payments", "checkout"]


async def test_nothing_deployed_is_said_with_its_window(systems: Systems) -> None:
    done = await systems.ask(hours=2)

    assert done.text == "Argo CD shows no rollout of checkout, 2026-11-20 10:00:00–12:00:00 UTC."
    assert not done.failed


async def test_a_set_that_fails_is_told(systems: Systems) -> None:
    broken = [{"type": "ErrorOccurred", "status": "True", "message": "bad generator"}]
    systems.argo.sets = [{"metadata": {"name": "shop"}, "status": {"conditions": broken}}]

    assert "ApplicationSet shop (0 applications) fails: bad generator" in (await systems.ask()).text


async def test_two_revisions_are_compared(systems: Systems) -> None:
    systems.hub.commits = [
        commit("a", "2026-11-20T10:00:00Z", "One"),
        commit("b", "2026-11-20T11:00:00Z", "Two"),
    ]
    systems.hub.files = [{"filename": "a.py"}]
    done = await systems.ask(base="v1", head="v2")

    assert done.text.splitlines()[:2] == ["2 commits of acme/checkout after v1 up to v2", "Files: a.py"]
    assert done.text.index("Two") < done.text.index("One")
    assert done.sources[0].url == "https://localhost/acme/checkout/compare/x"


async def test_without_argo_cd_commits_are_told_and_what_that_means(systems: Systems) -> None:
    systems.argocd = None
    systems.hub.commits = [commit("a", "2026-11-20T10:00:00Z", "One")]
    done = await systems.ask()

    assert done.text.startswith("No Argo CD is configured, so rollouts are not known. 1 commit reached")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"base": "v1"}, "Give both revisions"),
        ({"base": "v1", "head": "v2", "service": "payments"}, "names no GitHub repository of payments"),
        ({"base": "v1", "head": "v2", "service": "nobody"}, "has no service 'nobody'"),
        ({"base": "v1", "head": "x/../y"}, "no commit or tag"),
        ({"hours": 169}, "hours"),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(
    systems: Systems, arguments: dict[str, Any], said: str
) -> None:
    done = await systems.ask(**arguments)

    assert done.failed
    assert said in done.text


async def test_argo_cd_away_is_a_sentence_and_github_away_costs_the_commits_alone(systems: Systems) -> None:
    systems.argo.applications = [
        application(
            "checkout",
            (sha("a"), "2026-11-18T09:00:00Z"),
            (sha("b"), "2026-11-20T11:40:00Z"),
            repo=f"{systems.hub.url}/acme/checkout",
        )
    ]
    systems.hub.fault = "500"
    assert "replaced aaaaaaaaaaaa" in (await systems.ask()).text
    systems.argo.fault = "500"
    done = await systems.ask()
    assert done.failed
    assert "argocd answered with an error" in done.text


def test_without_either_the_tool_is_not_offered() -> None:
    assert deploy_history.tool(object()) is None
