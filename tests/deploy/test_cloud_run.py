"""deploy/terraform/cloud-run: the Terraform, and the script that feeds it, without Google."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from app.settings import secret_variables, variables
from tests.deploy.environment import unknown, wrong
from tests.deploy.validators import ROOT, checked

FOLDER = ROOT / "deploy/terraform/cloud-run"
SCRIPT = FOLDER / "deploy.sh"
AT_LEAST = "SLACK_BOT_TOKEN=xoxb-planted\nDATABASE_URL=postgresql://u:planted@/db\n"


GCLOUD = """#!/bin/bash
echo "gcloud $*" >> {log}
case "$*" in
  *"secrets versions add"*) echo "stored $(cat)" >> {log} ;;
  *"secrets versions access"*) [[ -n $STORED ]] || exit 1; [[ $* != *DATABASE_URL* ]] || printf %s "$STORED" ;;
  *describe*) [[ -n $STORED ]] ;;
esac
"""
TERRAFORM = """#!/bin/bash
echo "terraform $*" >> {log}
[[ $* != *output* ]] || echo https://sre-agent.example.com/webhooks/
"""


def deployed(
    tmp_path: Path, *arguments: str, settings: str = AT_LEAST, dry: bool = True, stored: str = ""
) -> subprocess.CompletedProcess[str]:
    """A run where neither gcloud nor terraform is to be found or, unless it is `dry`, where they only write
    down what they are asked; `stored` is the DATABASE_URL that Secret Manager has from a run before."""
    file = tmp_path / "settings"
    file.write_text(settings)
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("bash", "dirname", "git", "openssl", "sort", "cat"):
        if not (programs / name).exists():
            (programs / name).symlink_to(Path("/usr/bin") / name)
    for name, script in {} if dry else {"gcloud": GCLOUD, "terraform": TERRAFORM}.items():
        (programs / name).write_text(script.format(log=tmp_path / "log"))
        (programs / name).chmod(0o755)
    return subprocess.run(
        [SCRIPT, "--env-file", str(file), *(["--dry-run"] if dry else []), *arguments],
        env={"PATH": str(programs), "HOME": os.environ.get("HOME", "/"), "STORED": stored},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def variable(said: str, name: str) -> Any:
    """What terraform is given for one of its variables."""
    found = re.search(rf"'-var' '{name}=(.*?)'(?: '-var'|\n)", said)
    assert found, said
    return json.loads(found[1])


def blocks(kind: str) -> dict[str, Any]:
    """The blocks of one kind in all files, by their labels."""
    found: dict[str, Any] = {}
    for file in FOLDER.glob("*.tf"):
        for block in hcl2.loads(file.read_text("utf-8")).get(kind, []):
            found |= {name.strip('"'): inner for name, inner in block.items()}
    return found


def test_shellcheck_has_nothing_to_say() -> None:
    checked("shellcheck", SCRIPT)


def test_terraform_gives_the_address_of_webhooks() -> None:
    assert {"webhook_url", "slack_request_url"} <= blocks("output").keys()
    assert "/webhooks/" in blocks("output")["webhook_url"]["value"]


def test_secrets_reach_the_program_from_secret_manager_alone() -> None:
    text = (FOLDER / "main.tf").read_text("utf-8")
    given = re.findall(r'dynamic "env" \{\s+for_each = (.+)\n', text)
    assert given == ["merge(var.settings, local.ports)", "var.secrets"]
    assert set(re.findall(r"^ +value += (.+)$", text, re.M)) == {"env.value"}
    assert "secret_key_ref" in text
    assert "google_secret_manager_secret_version" not in text, "its value would stand in Terraform's state"


def test_the_ports_are_known_and_the_grace_fits_cloud_run() -> None:
    [ports] = [
        {name: str(value).strip('"') for name, value in values.items() if name.isupper()}
        for values in [blocks("locals")["ports"]]
    ]
    assert unknown(ports) == set()
    assert wrong(ports) == []
    assert float(ports["SHUTDOWN_GRACE_SECONDS"]) < 10


def test_every_setting_finds_its_place_and_no_secret_is_printed(tmp_path: Path) -> None:
    everything = "".join(f"{name}=planted-{name}\n" for name in variables())
    done = deployed(tmp_path, "--gcp-project", "acme-sre", settings=everything)
    assert done.returncode == 0, done.stderr

    secret = {name for name in secret_variables() if not name.startswith("MCP_")}
    assert set(variable(done.stdout, "secrets")) == secret
    plain = variable(done.stdout, "settings")
    left_out = set(re.findall(r"deploy.sh: (\w+) names a place", done.stderr))
    assert plain.keys() | left_out | secret | {"PORT", "OPS_PORT"} == variables().keys()
    assert all(value == f"planted-{name}" for name, value in plain.items())
    assert {name for name in secret if f"planted-{name}" in done.stdout + done.stderr} == set()


def test_the_ops_token_is_made_and_kept_to_itself(tmp_path: Path) -> None:
    done = deployed(tmp_path, "--gcp-project", "acme-sre")
    assert done.returncode == 0, done.stderr
    assert "a new OPS_AUTH_TOKEN" in done.stdout
    assert "'sre-agent-OPS_AUTH_TOKEN'" in done.stdout
    assert not re.search(r"\b[0-9a-f]{64}\b", done.stdout + done.stderr)
    assert "planted" not in done.stdout + done.stderr


def test_a_run_stores_secrets_through_pipes_and_tells_the_address(tmp_path: Path) -> None:
    done = deployed(tmp_path, "--gcp-project", "acme-sre", "--image", "acme/sre-agent:1", dry=False)
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "log").read_text().splitlines()

    stored = {line.removeprefix("stored ") for line in asked if line.startswith("stored ")}
    assert stored >= {"xoxb-planted", "postgresql://u:planted@/db"}
    [token] = [value for value in stored if re.fullmatch(r"[0-9a-f]{64}", value)]
    arguments = [line for line in asked if not line.startswith("stored ")]
    assert [line for line in arguments if "planted" in line or token in line] == []
    assert [line.split()[2] for line in arguments if line.startswith("terraform")][:2] == ["init", "apply"]
    assert "https://sre-agent.example.com/webhooks/" in done.stdout


def test_a_second_run_keeps_the_token_and_stores_what_changed_alone(tmp_path: Path) -> None:
    settings = "DATABASE_URL=postgresql://u:planted@/db\nSLACK_BOT_TOKEN=xoxb-new\n"
    done = deployed(
        tmp_path,
        *("--gcp-project", "acme-sre", "--image", "acme/sre-agent:1"),
        settings=settings,
        dry=False,
        stored="postgresql://u:planted@/db",
    )
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "log").read_text().splitlines()
    assert [line for line in asked if line.startswith("stored ")] == ["stored xoxb-new"]
    assert not any("secrets create" in line for line in asked)
    assert "OPS_AUTH_TOKEN" in next(line for line in asked if " apply " in line)


def test_services_become_the_registry_and_quotes_and_comments_are_read(tmp_path: Path) -> None:
    done = deployed(
        tmp_path,
        "--gcp-project",
        "acme-sre",
        "--service-url",
        "https://checkout.acme.io",
        "--service-url",
        "pay=http://payments.internal:8081",
        settings=AT_LEAST + 'INCIDENT_CHANNEL="C0123ABCD"\nLOG_LEVEL=DEBUG   # for now\nMODEL=\n',
    )
    settings = variable(done.stdout, "settings")
    assert settings == {
        "INCIDENT_CHANNEL": "C0123ABCD",
        "LOG_LEVEL": "DEBUG",
        "SERVICE_REGISTRY": "checkout|https://checkout.acme.io,pay|http://payments.internal:8081",
    }
    assert wrong(settings) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        ((), AT_LEAST, "--gcp-project is needed"),
        (("--gcp-project",), AT_LEAST, "needs a value"),
        (("--gcp-project", "Acme SRE"), AT_LEAST, "no id of a project"),
        (("--gcp-project", "acme-sre"), "LOG_LEVEL=INFO\n", "SLACK_BOT_TOKEN is not in"),
        (("--gcp-project", "acme-sre", "--service-url", "checkout"), AT_LEAST, "is no address"),
        (("--gcp-project", "acme-sre", "--loud"), AT_LEAST, "no option --loud"),
    ],
)
def test_wrong_use_is_named_before_anything_is_done(
    tmp_path: Path, arguments: tuple[str, ...], settings: str, said: str
) -> None:
    done = deployed(tmp_path, *arguments, settings=settings)
    assert done.returncode == 2
    assert said in done.stderr
    assert "gcloud" not in done.stdout
