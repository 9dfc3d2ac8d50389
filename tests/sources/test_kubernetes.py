"""The cluster as it is read over the wire, and what cannot be done to it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.sources.failures import NotThere, QueryRejected, ReadRefused, SourceFailed
from app.sources.kubernetes import KubernetesReader, troubles
from tests.fakes.kubernetes import AT, FakeKubernetes, crashing, deployment, event, node, pod


@pytest.fixture
async def cluster() -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes() as running:
        yield running


@pytest.fixture
async def reader(cluster: FakeKubernetes, tmp_path: Path) -> AsyncIterator[KubernetesReader]:
    client = KubernetesReader(cluster.kubeconfig(tmp_path), timeout_seconds=60)
    yield client
    await client.aclose()


def reasons(found: Any) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.reason) for each in found]


async def test_what_is_wrong_with_a_service_is_brought_together(
    cluster: FakeKubernetes, reader: KubernetesReader
) -> None:
    cluster.objects = {
        "pods": [
            crashing("checkout-7d9f6c4b8d-x2kqz"),
            pod("checkout-7d9f6c4b8d-b5xkd"),
            pod("cart-1", "cart"),
        ],
        "deployments": [
            deployment("checkout", available=1, Available="True"),
            deployment("cart", available=0),
        ],
        "nodes": [node("node-1", Ready="True", MemoryPressure="True"), node("node-2", Ready="False")],
        "events": [
            event("checkout-7d9f6c4b8d-x2kqz", "BackOff", "Back-off restarting", count=9),
            event("checkout-7d9f6c4b8d-zzzzz", "FailedScheduling", "gone by now"),
            event("checkout-worker-7d9f6c4b8d-b2xkd", "BackOff", "another service's"),
            event("checkout-7d9f6c4b8d-x2kqz", "Pulled", "fine", type="Normal"),
        ],
        "applications": [
            {
                "metadata": {"name": "checkout", "namespace": "argocd"},
                "status": {
                    "health": {"status": "Degraded", "lastTransitionTime": AT},
                    "sync": {"status": "Synced"},
                },
            }
        ],
    }
    found = await reader.not_healthy("checkout")

    assert set(reasons(found)) == {
        ("Pod", "shop/checkout-7d9f6c4b8d-x2kqz", "CrashLoopBackOff"),
        ("Pod", "shop/checkout-7d9f6c4b8d-x2kqz", "OOMKilled"),
        ("Pod", "shop/checkout-7d9f6c4b8d-x2kqz", "BackOff"),
        ("Pod", "shop/checkout-7d9f6c4b8d-zzzzz", "FailedScheduling"),
        ("Deployment", "shop/checkout", "Unavailable"),
        ("Node", "node-1", "MemoryPressure"),
        ("Application", "argocd/checkout", "Degraded"),
    }
    assert [each.at for each in found] == sorted(each.at for each in found)
    assert {each.service for each in found} == {"checkout"}
    assert next(each for each in found if each.reason == "BackOff").count == 9
    assert "/api/v1/namespaces/shop/events" in {asked.raw_path for asked in cluster.asked}


async def test_what_is_wrong_where_labels_lead_is_brought_together(
    cluster: FakeKubernetes, reader: KubernetesReader
) -> None:
    full = node("node-1", Ready="True", DiskPressure="True")
    full["status"]["addresses"] = [{"type": "InternalIP", "address": "10.0.0.5"}]
    cluster.objects = {
        "pods": [crashing("checkout-7d9f6c4b8d-x2kqz"), crashing("cart-1", "cart")],
        "deployments": [deployment("checkout", available=0)],
        "nodes": [full, node("node-2", Ready="False")],
        "events": [event("cart-1", "BackOff", "Back-off restarting")],
    }

    async def at(**places: str) -> set[str]:
        return {each.name for each in await reader.not_healthy_at(places)}

    assert await at(instance="10.0.0.5:9100") == {"node-1"}
    assert await at(node="node-2") == {"node-2"}
    assert await at(pod="cart-1", namespace="shop") == {"shop/cart-1"}
    assert await at(deployment="checkout", namespace="shop") == {"shop/checkout"}
    assert await at(namespace="shop") == {"shop/checkout-7d9f6c4b8d-x2kqz", "shop/cart-1"}
    assert await at(job="node") == set()
    with pytest.raises(QueryRejected):
        await at(namespace="shop/../../secrets")


async def test_only_lists_are_asked_for_with_our_token(
    cluster: FakeKubernetes, reader: KubernetesReader
) -> None:
    cluster.objects = {"pods": [pod("checkout-1")]}
    await reader.not_healthy("checkout")

    assert {asked.method for asked in cluster.asked} == {"GET"}
    assert {asked.headers["authorization"] for asked in cluster.asked} == {"Bearer t0ken"}
    assert {asked.raw_path.rpartition("/")[2] for asked in cluster.asked} == {
        "pods",
        "deployments",
        "replicasets",
        "nodes",
        "events",
        "applications",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/pods"),
        ("DELETE", "/api/v1/namespaces/shop/pods"),
        ("PATCH", "/apis/apps/v1/deployments"),
        ("GET", "/api/v1/secrets"),
        ("GET", "/api/v1/namespaces/shop/configmaps"),
        ("GET", "/api/v1/namespaces/shop/pods/checkout-1/exec"),
        ("GET", "/api/v1/namespaces/shop/pods/checkout-1/log"),
        ("GET", "/api/v1/namespaces/shop/pods/../secrets"),
        ("GET", "/api/v1/namespaces/shop%2Fsecrets/pods"),
    ],
)
async def test_below_the_client_nothing_but_lists_passes(
    cluster: FakeKubernetes, tmp_path: Path, method: str, path: str
) -> None:
    import httpx2

    from app.sources.kubernetes_door import ReadsOnly

    transport = ReadsOnly(httpx2.AsyncHTTPTransport())
    async with httpx2.AsyncClient(transport=transport, base_url=cluster.url) as client:
        with pytest.raises(ReadRefused):
            await client.request(method, path)
    assert cluster.asked == []


async def test_lists_come_in_chunks_up_to_a_bound(cluster: FakeKubernetes, reader: KubernetesReader) -> None:
    cluster.objects = {"pods": [pod(f"checkout-{number}") for number in range(700)]}

    assert len(await reader.objects("pods")) == 500
    assert len(await reader.objects("pods", most=3)) == 3
    assert len(cluster.asked) == 3


async def test_names_labels_and_namespaces_narrow(cluster: FakeKubernetes, reader: KubernetesReader) -> None:
    cluster.objects = {"pods": [pod("checkout-1"), pod("cart-1", "cart")]}

    assert len(await reader.objects("pods", labels={"app": "cart"})) == 1
    assert len(await reader.objects("pods", name="checkout-1", namespace="shop")) == 1
    assert await reader.objects("pods", namespace="other") == []
    assert cluster.asked[1].raw_path == "/api/v1/namespaces/shop/pods"


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "a/../b"},
        {"namespace": "../kube-system"},
        {"labels": {"app": "a,b!=c"}},
        {"labels": {"": "x"}},
    ],
)
async def test_what_is_no_name_is_not_sent(
    cluster: FakeKubernetes, reader: KubernetesReader, arguments: dict[str, Any]
) -> None:
    with pytest.raises(QueryRejected):
        await reader.objects("pods", **arguments)
    assert cluster.asked == []


async def test_what_may_not_be_listed_is_left_out_but_for_the_pods(
    cluster: FakeKubernetes, reader: KubernetesReader
) -> None:
    cluster.objects = {"pods": [crashing("checkout-1")]}
    cluster.forbidden, cluster.missing = {"nodes", "events", "deployments", "replicasets"}, {"applications"}

    assert len(await reader.not_healthy("checkout")) == 2
    cluster.forbidden.add("pods")
    with pytest.raises(SourceFailed, match="does not let us list pods"):
        await reader.not_healthy("checkout")


async def test_a_kind_that_is_not_there_is_told_apart(
    cluster: FakeKubernetes, reader: KubernetesReader
) -> None:
    cluster.missing = {"applications"}
    with pytest.raises(NotThere, match="has no applications"):
        await reader.objects("applications")


@pytest.mark.parametrize("fault", ["500", "html", "not-json", "cut", "empty", "redirect"])
async def test_a_sick_cluster_is_a_sentence(
    cluster: FakeKubernetes, reader: KubernetesReader, fault: str
) -> None:
    cluster.fault = fault
    with pytest.raises(SourceFailed, match=r"^kubernetes .*\."):
        await reader.objects("pods")


async def test_an_endless_answer_is_given_up(cluster: FakeKubernetes, reader: KubernetesReader) -> None:
    cluster.fault = "huge"
    with pytest.raises(SourceFailed, match="answered more than 16 MiB"):
        await reader.objects("pods")
    assert cluster.sent_bytes < 40 * 1024 * 1024


async def test_a_hanging_cluster_is_given_up(cluster: FakeKubernetes, tmp_path: Path) -> None:
    client = KubernetesReader(cluster.kubeconfig(tmp_path), timeout_seconds=0.2)
    cluster.fault = "hang"
    with pytest.raises(SourceFailed, match=r"within 0\.2 seconds"):
        await client.objects("pods")
    await client.aclose()


@pytest.mark.parametrize("text", [None, "no: [yaml", "clusters: []\n", "in-cluster"])
async def test_a_kubeconfig_that_cannot_be_used_is_a_sentence(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "config"
    if text:
        path.write_text(text, encoding="utf-8")
    client = KubernetesReader("in-cluster" if text == "in-cluster" else str(path))
    with pytest.raises(SourceFailed, match="KUBERNETES="):
        await client.objects("pods")


@pytest.mark.parametrize(
    ("kind", "found", "reason"),
    [
        ("pods", pod("a"), None),
        (
            "pods",
            pod("a", phase="Failed", reason="Evicted", message="low on memory", containerStatuses=[]),
            "Evicted",
        ),
        (
            "pods",
            pod(
                "a",
                phase="Pending",
                containerStatuses=[],
                conditions=[{"status": "False", "message": "no node"}],
            ),
            "Pending",
        ),
        ("deployments", deployment("a"), None),
        ("deployments", deployment("a", available=0, Available="False"), "Available"),
        ("deployments", deployment("a", Progressing="False"), "Progressing"),
        ("nodes", node("n", Ready="True", DiskPressure="False"), None),
        ("nodes", node("n", Ready="Unknown"), "Ready"),
        ("replicasets", deployment("a", ReplicaFailure="True"), "ReplicaFailure"),
        ("applications", {"metadata": {}, "status": {"health": {"status": "Progressing"}}}, None),
        ("pods", {"status": {"containerStatuses": [None, {}]}}, None),
        ("pods", {}, None),
        ("deployments", {}, None),
    ],
)
def test_troubles_of_one_object(kind: str, found: dict[str, Any], reason: str | None) -> None:
    assert [each.reason for each in troubles(kind, found)] == ([reason] if reason else [])


async def test_a_list_that_fails_when_nobody_waits_for_it_any_more_is_no_error_of_the_program(
    cluster: FakeKubernetes, tmp_path: Path
) -> None:
    told: list[str] = []
    gc.collect()  # what tests before this one left is no error of this one
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    client = KubernetesReader(cluster.kubeconfig(tmp_path), timeout_seconds=1)
    cluster.fault = "hang"
    asking = asyncio.create_task(client.objects("pods"))
    try:
        async with asyncio.timeout(60):
            while not cluster.asked:
                await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait({asking})
        await asyncio.sleep(1.5)
        gc.collect()
    finally:
        loop.set_exception_handler(None)
        await client.aclose()
    assert asking.cancelled()
    assert told == []
