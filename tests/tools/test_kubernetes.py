"""The cluster, as the model reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.sources.kubernetes import KubernetesReader
from app.tools import kubernetes
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.kubernetes import FakeKubernetes, crashing, deployment, event, node, pod


@pytest.fixture
async def cluster() -> AsyncIterator[FakeKubernetes]:
    objects = {
        "pods": [pod("checkout-1"), crashing("checkout-2"), pod("cart-1", "cart")],
        "deployments": [deployment("checkout", available=1)],
        "replicasets": [deployment("checkout")],
        "nodes": [node("node-1", Ready="True"), node("node-2", Ready="False")],
        "events": [event("checkout-2", "BackOff", "token=abcdef123456 was refused", count=3)],
        "applications": [{"metadata": {"name": "checkout"}, "status": {"health": {"status": "Healthy"}}}],
    }
    async with FakeKubernetes(**objects) as running:
        yield running


@pytest.fixture
async def reader(cluster: FakeKubernetes, tmp_path: Path) -> AsyncIterator[KubernetesReader]:
    client = KubernetesReader(cluster.kubeconfig(tmp_path))
    yield client
    await client.aclose()


async def ask(reader: KubernetesReader, service: str | None = "checkout", **arguments: Any) -> Executed:
    made = kubernetes.tool(SimpleNamespace(kubernetes=reader))
    assert made is not None
    scope = ToolScope(service=service)
    return await execute(Catalogue([made]), "kubernetes", arguments, scope=scope, limit_bytes=4096)


async def test_pods_with_troubles_come_first_and_nothing_private_is_shown(reader: KubernetesReader) -> None:
    done = await ask(reader, kind="pods")

    assert done.text.splitlines() == [
        "2 pods of checkout, those with troubles first:",
        "- shop/checkout-2: Running, 0/1 ready, 6 restarts, checkout:1.2, on node-1, since 11-20 11:00:00",
        "  ! CrashLoopBackOff: container checkout: back-off 2m40s restarting (6 restarts) (11-20 11:40:00)",
        "  ! OOMKilled: container checkout: exit code 137 (6 restarts) (11-20 11:40:00)",
        "- shop/checkout-1: Running, 1/1 ready, checkout:1.2, on node-1, since 11-20 11:00:00",
    ]
    assert "secret" not in done.text + (done.full or "")


async def test_events_of_a_service_are_its_troubles_with_secrets_masked(reader: KubernetesReader) -> None:
    done = await ask(reader, kind="events")

    assert "Pod shop/checkout-2: BackOff ×3: token=[masked secret] was refused" in done.text
    assert "CrashLoopBackOff" in done.text
    calm = await ask(reader, "payments", kind="events")
    assert calm.text == "The cluster shows no trouble and no warning of payments."


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ({"kind": "deployments"}, "- shop/checkout: 2 wanted, 0 updated, 1 ready, 1 available, checkout:1.2"),
        ({"kind": "replicasets"}, "- shop/checkout: 2 wanted, 2 ready, checkout:1.2, made 11-20 11:00:00"),
        ({"kind": "nodes"}, "- node-2: not ready,"),
        ({"kind": "applications"}, "- checkout: Healthy"),
        ({"kind": "pods", "labels": "app=cart"}, "- shop/cart-1: Running"),
        ({"kind": "pods", "name": "cart-1"}, "- shop/cart-1: Running"),
        ({"kind": "events", "name": "checkout-2"}, "- 11-20 11:00:00 Pod shop/checkout-2: BackOff"),
    ],
)
async def test_every_kind_is_a_line_of_its_states(
    reader: KubernetesReader, arguments: dict[str, Any], first: str
) -> None:
    assert (await ask(reader, **arguments)).text.splitlines()[1].startswith(first)


async def test_everybodys_pods_and_none_at_all(reader: KubernetesReader) -> None:
    assert (await ask(reader, kind="pods", all_services=True)).text.startswith("3 pods, ")
    assert (await ask(reader, "payments", kind="pods")).text == "The cluster shows no pods of payments."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kind": "secrets"}, "kind"),
        ({"kind": "pods", "labels": "app"}, "label=value"),
        ({"kind": "pods", "name": "../secrets"}, "no object or namespace"),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(
    reader: KubernetesReader, arguments: dict[str, Any], said: str
) -> None:
    done = await ask(reader, **arguments)
    assert done.failed
    assert said in done.text


def test_without_a_cluster_the_tool_is_not_offered() -> None:
    assert kubernetes.tool(object()) is None
