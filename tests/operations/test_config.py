"""The settings as they may be shown: no secret, wherever it hides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.operations.config import shown, without_credentials
from app.settings import Settings, secret_variables, variables

CANARY = "canary-5f2c91d07ab34e68"
ADDRESSES = tuple(name for name in variables() if name.endswith("_URL"))


def test_no_secret_is_shown_and_each_says_that_it_is_set() -> None:
    secrets = [name for name in secret_variables() if name in variables() and name != "DATABASE_URL"]
    assert len(secrets) > 10
    settings = Settings.load(env_file=None, **dict.fromkeys(secrets, CANARY))
    told = {name: each for group in shown(settings).values() for name, each in group.items()}
    assert CANARY not in json.dumps({name: each.model_dump() for name, each in told.items()})
    for name in secrets:
        assert (told[name].secret, told[name].is_set, told[name].value, told[name].default) == (
            True,
            True,
            None,
            False,
        )
    assert told.keys() == variables().keys()


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_is_shown_without_what_may_open_it(name: str) -> None:
    scheme = "postgresql" if name == "DATABASE_URL" else "https"
    address = f"{scheme}://bot:{CANARY}@host.example.com:8443/path/repo.git?token={CANARY}#{CANARY}"
    told = json.dumps(
        [
            each.model_dump()
            for group in shown(Settings.load(env_file=None, **{name: address})).values()
            for each in group.values()
        ]
    )
    assert CANARY not in told
    assert ("host.example.com:8443/path/repo.git" in told) == (name != "DATABASE_URL")


def test_what_is_no_secret_is_shown_as_it_is(tmp_path: Path) -> None:
    settings = Settings.load(
        env_file=None,
        SERVICE_REGISTRY=f"checkout|https://u:{CANARY}@checkout.internal/x|critical,reports",
        INCIDENTS_DIR=str(tmp_path),
        PORT="9000",
    )
    told = {name: each for group in shown(settings).values() for name, each in group.items()}
    assert told["SERVICE_REGISTRY"].value == ["checkout|https://checkout.internal/x|critical", "reports"]
    assert (told["PORT"].value, told["PORT"].default) == (9000, False)
    assert (told["WORKER_CONCURRENCY"].value, told["WORKER_CONCURRENCY"].default) == (10, True)
    assert told["INCIDENTS_DIR"].value == str(tmp_path)
    assert (told["SLACK_BOT_TOKEN"].is_set, told["LOKI_URL"].is_set) == (False, False)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://[::1]:8080/x?y=1", "https://[::1]:8080/x"),
        ("git@github.com:acme/knowledge.git", "git@github.com:acme/knowledge.git"),
        ("./knowledge", "./knowledge"),
        ("https://host:port/x", "(an address)"),
    ],
)
def test_other_texts_stay(address: str, told: str) -> None:
    assert without_credentials(address) == told
