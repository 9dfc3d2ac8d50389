"""Rollouts, as Argo CD tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.sources.argocd import ArgoCd
from app.sources.failures import SourceFailed
from tests.fakes.changes import FakeArgoCd, application, sha

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.fixture
async def server() -> AsyncIterator[FakeArgoCd]:
    async with FakeArgoCd() as running:
        yield running


@pytest.fixture
async def argocd(server: FakeArgoCd) -> AsyncIterator[ArgoCd]:
    names = {"cart": "checkout", "checkout": "checkout", "payments": "payments"}
    client = ArgoCd(server.endpoint, known=names.get, timeout_seconds=60)
    yield client
    await client.aclose()


async def test_rollouts_of_the_window_come_oldest_first_with_commit_and_page(
    server: FakeArgoCd, argocd: ArgoCd
) -> None:
    server.applications = [
        application(
            "checkout",
            (sha("a"), "2026-11-19T08:00:00Z"),
            (sha("b"), "2026-11-20T11:30:00Z"),
            images=["registry.acme.example/checkout:1.4.2"],
        ),
        application("payments", (sha("c"), "2026-11-20T11:00:00.5Z")),
    ]
    server.commits[sha("b")] = {"author": "Maya L <maya@acme.example>", "message": "Retry less\n\nWhy: load."}

    first, second = await argocd.deploys(NOON - 24 * HOUR, NOON)

    assert (first.service, first.id, first.at) == ("payments", sha("c"), NOON - HOUR + 0.5)
    assert (second.service, second.kind, second.at) == ("checkout", "deploy", NOON - HOUR / 2)
    assert second.title == "checkout 1.4.2 (bbbbbbbb): Retry less"
    assert second.author == "Maya L"
    assert second.link == f"{server.url}/applications/argocd/checkout"


async def test_a_commit_is_asked_for_once_and_until_it_is_known(server: FakeArgoCd, argocd: ArgoCd) -> None:
    server.applications = [application("checkout", (sha("b"), "2026-11-20T11:30:00Z"))]
    assert (await argocd.deploys(NOON - HOUR, NOON))[0].title == "checkout bbbbbbbb"
    server.commits[sha("b")] = {"message": "Retry less"}
    for _ in range(3):
        assert (await argocd.deploys(NOON - HOUR, NOON))[0].title == "checkout bbbbbbbb: Retry less"

    assert len([each for each in server.asked if each.raw_path.endswith("/metadata")]) == 2


async def test_a_rollout_knows_what_it_replaced(server: FakeArgoCd, argocd: ArgoCd) -> None:
    server.applications = [
        application("checkout", (sha("a"), "2026-11-10T08:00:00Z"), (sha("b"), "2026-11-20T11:30:00Z"))
    ]
    (rollout,) = await argocd.rollouts(NOON - HOUR, NOON, "checkout")

    assert rollout.previous == sha("a")
    assert rollout.repo == "https://localhost/acme/checkout.git"


@pytest.mark.parametrize(
    ("name", "labels", "is_checkout"),
    [
        ("checkout", {}, True),
        ("checkout-prod", {}, True),
        ("eu-checkout", {}, True),
        ("cart", {}, True),
        ("x1", {"app.kubernetes.io/name": "checkout"}, True),
        ("checkouts", {}, False),
        ("payments", {}, False),
    ],
)
async def test_applications_are_matched_to_services(
    server: FakeArgoCd, argocd: ArgoCd, name: str, labels: dict[str, str], is_checkout: bool
) -> None:
    server.applications = [application(name, (sha("a"), "2026-11-20T11:00:00Z"), labels=labels)]

    found = await argocd.deploys(NOON - HOUR, NOON, "checkout")
    assert [each.service for each in found] == (["checkout"] if is_checkout else [])
    assert len(await argocd.deploys(NOON - HOUR, NOON)) == 1


async def test_a_failed_rollout_is_a_change_too(server: FakeArgoCd, argocd: ArgoCd) -> None:
    operation = {
        "phase": "Failed",
        "message": "one or more objects failed\nto apply",
        "finishedAt": "2026-11-20T11:50:00Z",
        "syncResult": {"revision": sha("d")},
    }
    server.applications = [application("checkout", operation=operation)]
    (change,) = await argocd.deploys(NOON - HOUR, NOON)

    assert change.title == "checkout: a rollout of dddddddd failed: one or more objects failed to apply"


async def test_no_more_than_a_week_is_looked_at(server: FakeArgoCd, argocd: ArgoCd) -> None:
    server.applications = [application("checkout", (sha("a"), "2026-11-12T12:00:00Z"))]

    assert await argocd.deploys(0, NOON) == ()


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ({"kustomize": {"images": ["checkout=registry.acme.example/checkout:2"]}}, "2"),
        ({"kustomize": {"images": ["registry.acme.example/checkout:3"]}}, "3"),
        ({"helm": {"parameters": [{"name": "app.image.tag", "value": "v4"}]}}, "v4"),
    ],
)
async def test_the_image_a_rollout_set_is_named(
    server: FakeArgoCd, argocd: ArgoCd, source: dict[str, Any], shown: str
) -> None:
    server.applications = [application("checkout", (sha("a"), "2026-11-20T11:00:00Z"), source=source)]
    (change,) = await argocd.deploys(NOON - HOUR, NOON)

    assert change.title == f"checkout {shown} (aaaaaaaa)"


async def test_several_sources_and_gaps_in_the_shape_are_read(server: FakeArgoCd, argocd: ArgoCd) -> None:
    odd = application("checkout")
    odd["status"]["history"] = [
        None,
        {"deployedAt": "soon"},
        {"deployedAt": "2026-11-20T11:00:00Z", "revisions": [sha("e"), "2.0"], "sources": [{"chart": "x"}]},
        {"id": 7, "deployedAt": "2026-11-20T11:10:00Z", "revision": "../../secrets"},
    ]
    server.applications = [odd, {"status": None}, {}]
    found = await argocd.deploys(NOON - HOUR, NOON)

    assert [each.id for each in found] == [sha("e"), "checkout#7"]
    assert all("/revisions/.." not in asked.raw_path for asked in server.asked)


async def test_no_applications_is_no_failure_and_another_shape_is_one(
    server: FakeArgoCd, argocd: ArgoCd
) -> None:
    assert await argocd.deploys(NOON - HOUR, NOON) == ()
    server.applications = {"a": 1}  # type: ignore[assignment]
    with pytest.raises(SourceFailed, match="shape"):
        await argocd.deploys(NOON - HOUR, NOON)


async def test_sets_tell_their_troubles(server: FakeArgoCd, argocd: ArgoCd) -> None:
    conditions = [
        {"type": "ErrorOccurred", "status": "True", "message": "cannot reach the repo"},
        {"type": "ResourcesUpToDate", "status": "False"},
    ]
    resources = [{"kind": "Application", "name": "checkout"}]
    server.sets = [
        {"metadata": {"name": "shop"}, "status": {"conditions": conditions, "resources": resources}}
    ]
    (found,) = await argocd.sets()

    assert (found.name, found.applications, found.problems) == (
        "shop",
        ("checkout",),
        ("cannot reach the repo",),
    )
