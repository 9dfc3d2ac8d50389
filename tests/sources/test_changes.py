"""What was changed, from whichever system can tell it; what a system cannot tell is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.sources.argocd import ArgoCd
from app.sources.changed import kind_of
from app.sources.cluster_rollouts import ClusterRollouts
from app.sources.commits import Commits
from app.sources.failures import NotThere
from app.sources.github_changes import GitHubChanges
from app.sources.kubernetes import KubernetesReader
from app.sources.parts import stamp
from app.sources.rollouts import Rollouts
from tests.fakes.changes import FakeArgoCd, FakeGitHub, application, commit, sha
from tests.fakes.kubernetes import FakeKubernetes, deployment, pod, replica_set

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
DAY_BEFORE = NOON - 24 * 3600
REPOS = {"checkout": "acme/checkout"}


@dataclass
class Systems:
    argo: FakeArgoCd
    hub: FakeGitHub
    rollouts: Rollouts
    commits: Commits


@pytest.fixture
async def systems() -> AsyncIterator[Systems]:
    async with FakeArgoCd() as argo, FakeGitHub() as hub:
        argocd, github = ArgoCd(argo.endpoint), GitHubChanges(hub.endpoint)
        yield Systems(argo, hub, Rollouts(argocd, github), Commits(github, REPOS.get))
        await argocd.aclose()
        await github.aclose()


def rolled_out(systems: Systems) -> None:
    systems.argo.applications = [
        application("checkout", (sha("a"), "2026-11-19T13:00:00Z"), (sha("b"), "2026-11-20T11:40:00Z"))
    ]


# -- Argo CD ---------------------------------------------------------------------------------------------


async def test_a_github_that_is_away_is_told_beside_the_rollouts(systems: Systems) -> None:
    rolled_out(systems)
    systems.hub.fault = "500"
    found = await systems.rollouts.between(DAY_BEFORE, NOON, ["checkout"])
    assert [each.id for each in found.changes] == [sha("a"), sha("b")]
    [(system, why)] = found.missing
    assert system == "github"
    assert "could not tell what rollouts brought" in why
    assert "500" in why


async def test_a_github_that_hangs_holds_up_no_rollout(systems: Systems) -> None:
    rolled_out(systems)
    systems.hub.fault = "hang"
    found = await systems.rollouts.between(DAY_BEFORE, NOON, ["checkout"])
    assert len(found.changes) == 2
    assert found.missing == (("github", "could not tell what rollouts brought: no answer within 1.5 s"),)


async def test_a_rollout_of_configuration_alone_is_one_change_of_configuration(systems: Systems) -> None:
    rolled_out(systems)
    systems.hub.commits = [commit("b", "2026-11-20T11:30:00Z", "Halve the pool")]
    systems.hub.files = [{"filename": "config/pool.yaml", "patch": "-size: 20\n+size: 10"}]
    found = await systems.rollouts.between(DAY_BEFORE, NOON, ["checkout"])
    assert [(each.kind, each.id) for each in found.changes] == [("deploy", sha("a")), ("config", sha("b"))]
    assert found.changes[1].files == ("config/pool.yaml",)


# -- GitHub alone ----------------------------------------------------------------------------------------


async def test_without_argo_cd_commits_are_told_with_what_they_touch(systems: Systems) -> None:
    systems.hub.commits = [
        commit("a", "2026-11-20T10:00:00Z", "Retry less (#12)"),
        commit("b", "2026-11-20T11:00:00Z", "Turn the new cart on"),
    ]
    systems.hub.touched = {
        sha("a"): [{"filename": "app/pay.py", "patch": "-retry(3)\n+retry(1)"}],
        sha("b"): [{"filename": "deploy/feature-flags.yaml", "patch": "-cart: off\n+cart: on"}],
    }
    found = await systems.commits.between(DAY_BEFORE, NOON, ["payments", "checkout"])
    assert [(each.kind, each.title, each.service, each.source) for each in found.changes] == [
        ("commit", "#12 Retry less", "checkout", "github"),
        ("flag", "Turn the new cart on", "checkout", "github"),
    ]
    assert "retry(1)" in (found.changes[0].diff or "")
    assert found.missing == ()


async def test_commits_whose_files_cannot_be_had_are_told_and_so_is_that(systems: Systems) -> None:
    systems.hub.commits = [commit("a", "2026-11-20T10:00:00Z", "Retry less")]
    found = await systems.commits.between(DAY_BEFORE, NOON, ["checkout"])
    assert [each.kind for each in found.changes] == ["commit"]
    assert [system for system, _ in found.missing] == ["github"]


async def test_services_without_a_repository_cannot_be_asked_about(systems: Systems) -> None:
    with pytest.raises(NotThere, match="names no repository of payments"):
        await systems.commits.between(DAY_BEFORE, NOON, ["payments"])
    assert systems.hub.asked == []


# -- the cluster alone -----------------------------------------------------------------------------------


async def test_replica_sets_tell_the_rollouts_of_a_service(tmp_path: Path) -> None:
    async with FakeKubernetes() as server:
        server.objects["replicasets"] = [
            replica_set("checkout-c", "2026-11-20T11:50:00Z", "registry.acme.example/checkout:1.15.0"),
            replica_set("checkout-a", "2026-11-18T09:00:00Z", "registry.acme.example/checkout:1.14.0"),
            replica_set("checkout-b", "2026-11-20T11:40:00Z", "registry.acme.example/checkout:1.15.0"),
            replica_set("cart-a", "2026-11-20T11:45:00Z", "registry.acme.example/cart:2.0.0", "cart"),
        ]
        reader = KubernetesReader(server.kubeconfig(tmp_path), timeout_seconds=60)
        found = await ClusterRollouts(reader).between(DAY_BEFORE, NOON, ["checkout"])
        await reader.aclose()
    assert [(each.kind, each.id, each.title, each.service, each.source) for each in found.changes] == [
        ("deploy", "shop/checkout-b", "checkout 1.15.0", "checkout", "kubernetes"),
        (
            "config",
            "shop/checkout-c",
            "checkout: other settings of the same images",
            "checkout",
            "kubernetes",
        ),
    ]


REVISION = "deployment.kubernetes.io/revision"


def revised(
    name: str, at: str, tag: str, revision: int, history: str = "", namespace: str = "shop"
) -> dict[str, Any]:
    made = replica_set(name, at, f"registry.acme.example/checkout:{tag}")
    annotations = {REVISION: str(revision)} | ({f"{REVISION}-history": history} if history else {})
    made["metadata"] |= {"annotations": annotations, "namespace": namespace}
    return made


def of_set(name: str, owner: str, at: str) -> dict[str, Any]:
    made = pod(name)
    made["metadata"] |= {
        "creationTimestamp": at,
        "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": True}],
    }
    return made


def progressed(owner: str, at: str) -> dict[str, Any]:
    made = deployment("checkout")
    made["status"]["conditions"] = [
        {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetAvailable",
            "message": f'ReplicaSet "{owner}" has successfully progressed.',
            "lastUpdateTime": at,
        }
    ]
    return made


BACK = (
    revised("checkout-a", "2026-11-18T09:00:00Z", "1.14.0", 3, history="1"),
    revised("checkout-b", "2026-11-20T10:00:00Z", "1.15.0", 2),
)
PODS_OF_BOTH = (
    of_set("a-1", "checkout-a", "2026-11-20T11:30:00Z"),
    of_set("a-2", "checkout-a", "2026-11-20T11:31:00Z"),
    of_set("a-old", "checkout-a", "2026-11-18T09:00:05Z"),  # a rollout that was never finished left it
    of_set("b-1", "checkout-b", "2026-11-20T10:00:05Z"),
)
PUT_BACK = ("deploy", "checkout: put back on 1.14.0, which had run before")
ROLLBACKS: dict[str, tuple[dict[str, Any], list[tuple[str, str, str]]]] = {
    "its pods are made anew": (
        {"sets": BACK, "pods": PODS_OF_BOTH, "deployments": [progressed("checkout-a", "2026-11-20T11:33:00Z")]},
        [("2026-11-20T11:30:00Z", *PUT_BACK)],
    ),
    "its last progress, where no pod of it is there": (
        {"sets": BACK, "pods": PODS_OF_BOTH[3:], "deployments": [progressed("checkout-a", "2026-11-20T11:33:00Z")]},
        [("2026-11-20T11:33:00Z", *PUT_BACK)],
    ),
    "a pod that was replaced later is no better than the progress": (
        {
            "sets": BACK,
            "pods": [of_set("a-9", "checkout-a", "2026-11-20T11:55:00Z")],
            "deployments": [progressed("checkout-a", "2026-11-20T11:33:00Z")],
        },
        [("2026-11-20T11:33:00Z", *PUT_BACK)],
    ),
    "nothing tells its time": ({"sets": BACK, "deployments": [progressed("checkout-b", "2026-11-20T11:33:00Z")]}, []),
    "no rollback": (
        {
            "sets": [
                revised("checkout-a", "2026-11-18T09:00:00Z", "1.14.0", 1),
                revised("checkout-b", "2026-11-20T10:00:00Z", "1.15.0", 2),
            ],
            "pods": PODS_OF_BOTH,
        },
        [],
    ),
    "one of another namespace is none of it": (
        {
            "sets": [
                revised("checkout-a", "2026-11-18T09:00:00Z", "1.14.0", 7),
                revised("checkout-b", "2026-11-20T10:00:00Z", "1.15.0", 2, namespace="stage"),
            ],
            "pods": PODS_OF_BOTH,
        },
        [],
    ),
    "the one it took over from is gone": (
        {"sets": BACK[:1], "pods": PODS_OF_BOTH[:2]},
        [("2026-11-20T11:30:00Z", *PUT_BACK)],
    ),
    "the same images with the settings they had": (
        {
            "sets": [BACK[0], revised("checkout-b", "2026-11-20T10:00:00Z", "1.14.0", 2)],
            "pods": PODS_OF_BOTH,
        },
        [
            (
                "2026-11-20T11:30:00Z",
                "config",
                "checkout: put back on earlier settings of the same images",
            )
        ],
    ),
    "what is no number is no revision": (
        {
            "sets": [
                {**each, "metadata": {**each["metadata"], "annotations": {REVISION: "²", f"{REVISION}-history": 7}}}
                for each in BACK
            ],
            "pods": PODS_OF_BOTH,
        },
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ROLLBACKS)
async def test_a_rollback_to_a_replica_set_that_was_there_is_a_rollout(tmp_path: Path, what: str) -> None:
    cluster, wanted = ROLLBACKS[what]
    async with FakeKubernetes() as server:
        server.objects["replicasets"] = list(cluster["sets"])
        server.objects["pods"] = list(cluster.get("pods", ()))
        server.objects["deployments"] = list(cluster.get("deployments", ()))
        reader = KubernetesReader(server.kubeconfig(tmp_path), timeout_seconds=60)
        found = await ClusterRollouts(reader).between(DAY_BEFORE, NOON, ["checkout"])
        await reader.aclose()
    told = [(stamp(each.at), each.kind, each.title) for each in found.changes if "put back" in each.title]
    assert told == wanted
    assert len({each.id for each in found.changes}) == len(found.changes)


async def test_a_rollback_whose_time_may_not_be_asked_for_does_not_hide_the_rollouts(tmp_path: Path) -> None:
    async with FakeKubernetes() as server:
        server.objects["replicasets"] = list(BACK)
        server.forbidden = {"pods", "deployments"}
        reader = KubernetesReader(server.kubeconfig(tmp_path), timeout_seconds=60)
        found = await ClusterRollouts(reader).between(DAY_BEFORE, NOON, ["checkout"])
        await reader.aclose()
    assert [each.title for each in found.changes] == ["checkout 1.15.0"]


async def test_without_a_rollback_nothing_more_is_asked(tmp_path: Path) -> None:
    async with FakeKubernetes() as server:
        server.objects["replicasets"] = [BACK[1]]
        reader = KubernetesReader(server.kubeconfig(tmp_path), timeout_seconds=60)
        await ClusterRollouts(reader).between(DAY_BEFORE, NOON, ["checkout"])
        await reader.aclose()
        assert {each.raw_path.rsplit("/", 1)[-1] for each in server.asked} == {"replicasets"}


# -- kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "diff", "kind"),
    [
        (("flags/cart.json",), None, "flag"),
        (("deploy/feature-flags.yaml", "toggles.yml"), None, "flag"),
        (("app/flags.py",), None, "commit"),
        (("config/production.yaml", "deploy/.env.prod"), None, "config"),
        (("app/config.toml",), "-size = 20\n+size = 10", "config"),
        (("config/production.yaml", "app/pay.py"), None, "commit"),
        (("charts/checkout/values.yaml",), None, "commit"),
        (("charts/checkout/values.yaml",), "-  tag: 1.14.0\n+  tag: 1.15.0", "commit"),
        (("charts/checkout/values-prod.yaml",), "-  poolSize: 20\n+  poolSize: 10", "config"),
        (("env/prod/kustomization.yaml",), "-    newTag: a\n+    newTag: b", "commit"),
        ((".github/config/lint.yaml",), None, "commit"),
        (("package.json",), None, "commit"),
        ((), None, "commit"),
    ],
)
def test_what_kind_a_change_is_shows_in_the_paths_it_touches(
    files: tuple[str, ...], diff: str | None, kind: str
) -> None:
    assert kind_of(files, diff, "commit") == kind
