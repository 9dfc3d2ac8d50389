"""Files go up in three steps, appear a moment later, and sometimes never."""

from __future__ import annotations

import httpx
from slack_sdk.web.async_client import AsyncWebClient

from app.playground.slack import PlaygroundSlack


async def test_an_upload_appears_in_its_thread_and_in_files_info(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "slo please")
    uploads = [
        {"filename": "slo.yaml", "title": "SLO", "content": "objective: 99.9"},
        {"filename": "notes.md", "title": "Notes", "content": "# Notes"},
    ]
    answer = await client.files_upload_v2(channel="C0CHECKOUT", thread_ts=ts, file_uploads=uploads)
    await slack.wait_for(lambda: len(slack.thread("C0CHECKOUT", ts)) == 2)

    reply = slack.thread("C0CHECKOUT", ts)[1]
    assert [slack.file(file_id) for file_id in reply.files] == [b"objective: 99.9", b"# Notes"]
    info = await client.files_info(file=answer["files"][0]["id"])
    assert info["file"]["shares"]["public"]["C0CHECKOUT"][0]["ts"] == reply.ts
    assert info["file"]["title"] == "SLO"


async def test_a_completed_upload_names_no_message(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    slack.faults.files_never_shared = 1
    answer = await client.files_upload_v2(channel="C0CHECKOUT", filename="a.txt", content="a")
    assert answer["files"][0]["shares"] == {}
    info = await client.files_info(file=answer["file"]["id"])
    assert info["file"]["shares"] == {}
    assert slack.channel("C0CHECKOUT") == []


async def test_a_private_file_answers_to_the_bot_token_alone(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    await slack.say("U0MAYA", "C0CHECKOUT", "look", files={"error.log": b"boom"})
    file_id = slack.channel("C0CHECKOUT")[0].files[0]
    url = (await client.files_info(file=file_id))["file"]["url_private"]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        assert (await web.get(url)).status_code == 403
        allowed = await web.get(url, headers={"Authorization": f"Bearer {slack.workspace.bot_token}"})
    assert allowed.content == b"boom"


async def test_bytes_that_are_not_as_announced_are_refused(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ticket = await client.files_getUploadURLExternal(filename="a.txt", length=3)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        wrong = await web.post(ticket["upload_url"], content=b"too long")
        again = await web.post(ticket["upload_url"], content=b"abc")
    assert (wrong.status_code, again.status_code) == (400, 400)
