"""k8s/: valid against the API's schemas, confined, and with no more rights than the program makes use of."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.context.folder import Folder
from app.settings import secret_variables
from app.sources.kubernetes_door import ALLOWED
from handbook.secret import secret
from tests.deploy.environment import secrets_in, unknown, wrong
from tests.deploy.validators import ROOT, checked

OVERLAYS = sorted(folder.name for folder in (ROOT / "k8s/overlays").iterdir())
MARGIN_SECONDS = 15
"""For what is around the grace of running turns: the socket to Slack and the open connections are closed."""


@cache
def built(folder: str) -> str:
    return checked("kubectl", "kustomize", f"k8s/{folder}")


@cache
def objects(folder: str) -> list[dict[str, Any]]:
    return [each for each in yaml.load_all(built(folder), yaml.CSafeLoader) if each]


def of_kind(folder: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in objects(folder) if each["kind"] == kind]


def pods(folder: str) -> dict[str, dict[str, Any]]:
    """The specification of the pods of every deployment and job, by name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for kind in ("Deployment", "Job")
        for each in of_kind(folder, kind)
    }


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def settings(folder: str) -> dict[str, str]:
    [found] = of_kind(folder, "ConfigMap")
    return dict(found["data"])


def test_what_kustomize_makes_is_valid(tmp_path: Path) -> None:
    made = []
    for folder in ("base", *(f"overlays/{name}" for name in OVERLAYS)):
        made.append(tmp_path / f"{folder.replace('/', '-')}.yaml")
        made[-1].write_text(built(folder))
    checked("kubernetes-validate", "--strict", *made, ROOT / "k8s/examples/secret.yaml")


def test_the_reader_s_role_is_this_list_and_covers_what_is_asked() -> None:
    [role] = of_kind("base", "ClusterRole")
    granted = {
        (group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert granted == {
        *(("", each) for each in ("pods", "events", "services", "endpoints", "nodes")),
        *(("apps", each) for each in ("deployments", "statefulsets", "daemonsets", "replicasets")),
        *(("argoproj.io", each) for each in ("applications", "applicationsets")),
    }
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in role["rules"])
    assert all(set(rule["verbs"]) == {"get", "list", "watch"} for rule in role["rules"])
    asked = {re.fullmatch(r"/apis?/(?:([^/]+)/)?v1\w*/(?:namespaces/\*/)?(\w+)", path) for path in ALLOWED}
    assert {(each[1] or "", each[2]) for each in asked if each} <= granted
    assert None not in asked


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_gets_another_role(overlay: str) -> None:
    folder = f"overlays/{overlay}"
    assert [each["roleRef"]["name"] for each in of_kind(folder, "ClusterRoleBinding")] == ["sre-agent-reader"]
    assert of_kind(folder, "RoleBinding") == []
    [account] = of_kind(folder, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_containers_can_neither_gain_rights_nor_write_to_their_image(overlay: str) -> None:
    for pod in pods(f"overlays/{overlay}").values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert "privileged" not in confined
            assert container["resources"]["limits"]["memory"]
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_variable_is_one_the_program_knows_and_would_take(overlay: str) -> None:
    folder = f"overlays/{overlay}"
    configured = settings(folder)
    assert unknown(configured) == set()
    assert wrong(configured) == []
    assert secrets_in(configured) == set()
    [own] = {container["image"] for pod in pods(folder).values() for container in pod["containers"]} - {
        container["image"]
        for pod in pods(folder).values()
        for container in containers(pod)
        if "git-sync" in container["image"]
    }
    for pod in pods(folder).values():
        for container in pod["containers"]:
            if container["image"] == own:
                assert unknown([each["name"] for each in container.get("env", [])]) == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_rolling_update_drains(overlay: str) -> None:
    folder = f"overlays/{overlay}"
    grace = float(settings(folder)["SHUTDOWN_GRACE_SECONDS"])
    for deployment in of_kind(folder, "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        pod = deployment["spec"]["template"]["spec"]
        [own] = [each for each in pod["containers"] if each["name"] == "sre-agent"]
        _, before = own["lifecycle"]["preStop"]["exec"]["command"]
        assert pod["terminationGracePeriodSeconds"] >= grace + float(before) + MARGIN_SECONDS
        probed = {own[each]["httpGet"]["path"] for each in ("startupProbe", "livenessProbe")}
        assert probed == {"/healthz"}
        assert own["readinessProbe"]["httpGet"]["path"] == "/readyz"
        ops = {port["name"]: port["containerPort"] for port in own["ports"]}["ops"]
        assert str(ops) == settings(folder)["OPS_PORT"]
        assert {
            own[each]["httpGet"]["port"] for each in ("startupProbe", "livenessProbe", "readinessProbe")
        } == {"ops"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_deployment_may_lose_one_pod_at_a_time(overlay: str) -> None:
    folder = f"overlays/{overlay}"
    budgets = [each["spec"] for each in of_kind(folder, "PodDisruptionBudget")]
    assert all(each["maxUnavailable"] == 1 for each in budgets)
    guarded = [each["selector"]["matchLabels"] for each in budgets]
    assert [each["spec"]["selector"]["matchLabels"] for each in of_kind(folder, "Deployment")] == guarded


def test_the_network_lets_in_the_door_and_monitoring_alone() -> None:
    [policy] = of_kind("base", "NetworkPolicy")
    spec = policy["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert [[port["port"] for port in rule["ports"]] for rule in spec["ingress"]] == [["http"], ["ops"]]
    assert all(rule["from"] for rule in spec["ingress"])
    for deployment in of_kind("base", "Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()


def test_in_production_the_schema_is_the_job_s_alone() -> None:
    assert settings("overlays/production")["AUTO_MIGRATE"] == "false"
    [job] = of_kind("overlays/production", "Job")
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["db", "upgrade"]
    assert [each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]] == ["DATABASE_URL"]


@pytest.mark.parametrize(("overlay", "places"), [("git-sync", "current"), ("cloned", "")])
def test_folders_of_repos_are_filled_before_the_program_reads_them(overlay: str, places: str) -> None:
    folder = f"overlays/{overlay}"
    read = {name: Path(value) for name, value in settings(folder).items() if name.endswith("_PATH")}
    assert set(read) == {"KNOWLEDGE_PATH", "BLUEPRINTS_PATH"}
    for deployment in of_kind(folder, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        filled = {
            Path(argument.removeprefix("--root=")) / places
            for container in pod["initContainers"]
            for argument in container["args"]
            if argument.startswith(("--root=", "/repos/"))
        }
        assert filled == set(read.values())
        [own] = [each for each in pod["containers"] if each["name"] == "sre-agent"]
        assert {"name": "repos", "mountPath": "/repos", "readOnly": True} in own["volumeMounts"]


async def test_a_folder_that_git_sync_switches_is_followed(tmp_path: Path) -> None:
    for revision in ("a1", "b2"):
        (tmp_path / ".worktrees" / revision).mkdir(parents=True)
        (tmp_path / ".worktrees" / revision / "system-prompt.md").write_text(f"# At {revision}\n")
    current = tmp_path / "current"
    current.symlink_to(".worktrees/a1")
    folder = Folder(current)
    assert (await folder.refresh()).files["system-prompt.md"] == "# At a1\n"

    (tmp_path / "next").symlink_to(".worktrees/b2")
    (tmp_path / "next").replace(current)
    assert (await folder.refresh()).files["system-prompt.md"] == "# At b2\n"


def test_the_secret_s_example_names_every_secret_and_says_what_it_is_for() -> None:
    assert (ROOT / "k8s/examples/secret.yaml").read_text("utf-8") == secret(), "run ./run docs"
    example = yaml.safe_load(secret())
    assert set(example["stringData"]) == {name for name in secret_variables() if not name.startswith("MCP_")}
    assert example["metadata"]["name"] == "sre-agent-secrets"


def test_the_external_secret_makes_the_secret_that_is_read() -> None:
    example = yaml.safe_load((ROOT / "k8s/examples/external-secret.yaml").read_text("utf-8"))
    [secret_read] = {
        source["secretRef"]["name"]
        for pod in pods("base").values()
        for container in containers(pod)
        for source in container.get("envFrom", [])
        if "secretRef" in source
    }
    assert example["spec"]["target"]["name"] == secret_read
