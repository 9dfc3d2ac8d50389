"""docker-compose.yml: valid, confined, and of variables that the program knows."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.deploy.environment import unknown, wrong
from tests.deploy.validators import ROOT, checked

FILE = "docker-compose.yml"
PASSWORD = "0f1e2d3c"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """As compose understands them, anchors and the environment filled in."""
    said = checked("docker-compose", "-f", FILE, "--profile", "*", "config", POSTGRES_PASSWORD=PASSWORD)
    return dict(yaml.safe_load(said)["services"])


def test_compose_and_its_specification_accept_it() -> None:
    checked("docker-compose", "-f", FILE, "config", "-q")
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE)


def test_without_a_profile_it_is_the_program_and_its_database(services: dict[str, Any]) -> None:
    assert {name for name, each in services.items() if not each.get("profiles")} == {"app", "postgres"}
    assert {each for service in services.values() for each in service.get("profiles", [])} == {
        "workers",
        "prometheus",
        "demo",
    }


@pytest.mark.parametrize("name", ["app", "worker", "demo"])
def test_what_is_ours_can_write_to_its_volume_alone(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [each["target"] for each in service["volumes"]] == ["/var/lib/sre-agent"]
    assert service["build"]["target"] in ("agent", "demo")


@pytest.mark.parametrize("name", ["app", "worker"])
def test_its_environment_is_known_and_its_drain_fits(services: dict[str, Any], name: str) -> None:
    environment = services[name]["environment"]
    assert unknown(environment) == set()
    assert wrong(environment) == []
    assert environment["DATABASE_URL"] == f"postgresql://sre_agent:{PASSWORD}@postgres:5432/sre_agent"
    grace = int(services[name]["stop_grace_period"].removesuffix("s"))
    assert grace >= int(environment["SHUTDOWN_GRACE_SECONDS"]) + 15


def test_only_what_the_internet_may_reach_is_open_to_it(services: dict[str, Any]) -> None:
    open_ports = {
        (name, port["target"])
        for name, service in services.items()
        for port in service.get("ports", [])
        if port.get("host_ip") != "127.0.0.1"
    }
    assert open_ports == {("app", 8080)}


def test_prometheus_is_told_where_the_program_is() -> None:
    checked("promtool", "check", "config", "deploy/prometheus/prometheus.yml")
    asked = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert asked[0]["dns_sd_configs"][0]["names"] == ["app", "worker"]
