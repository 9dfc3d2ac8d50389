"""A page that lent its name to the playground's address reads nothing there and does nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
import pytest

from app.playground.slack import PlaygroundSlack

REBOUND = {"Host": "rebound.example:1234"}
SAID = {"user": "U0MAYA", "channel": "C0CHECKOUT", "text": "hello"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/playground/state"),
        ("GET", "/playground/live"),
        ("GET", "/playground/channels/C0CHECKOUT"),
        ("POST", "/playground/say"),
        ("POST", "/playground/files?name=a.txt&user=U0MAYA"),
        ("POST", "/api/auth.test"),
        ("POST", "/actions/T0ACME/key"),
    ],
)
async def test_under_another_name_nothing_answers(slack: PlaygroundSlack, method: str, path: str) -> None:
    before = slack.channel("C0CHECKOUT")

    async with (
        aiohttp.ClientSession(slack.url, headers=REBOUND) as http,
        http.request(method, path, json=SAID) as answer,
    ):
        assert (answer.status, await answer.text()) == (400, "Invalid host header")

    assert slack.channel("C0CHECKOUT") == before


async def test_under_another_name_no_socket_opens(slack: PlaygroundSlack) -> None:
    async with aiohttp.ClientSession(headers=REBOUND) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{slack.url}/link/")
    assert refused.value.status == 400


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_this_machine_s_own_names_are_answered(slack: PlaygroundSlack, name: str) -> None:
    host = {"Host": f"{name}:{urlsplit(slack.url).port}"}
    async with (
        aiohttp.ClientSession(slack.url, headers=host) as http,
        http.post("/playground/say", json=SAID) as answer,
    ):
        assert answer.status == 200

    assert slack.channel("C0CHECKOUT")[-1].text == "hello"
