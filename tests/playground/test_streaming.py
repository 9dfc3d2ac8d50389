"""A streamed message as the SDK writes it and as readers of the thread see it."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import ContextActionsBlock, FeedbackButtonsElement
from slack_sdk.models.messages.chunk import MarkdownTextChunk, PlanUpdateChunk, TaskUpdateChunk
from slack_sdk.web.async_chat_stream import AsyncChatStream
from slack_sdk.web.async_client import AsyncWebClient

from app.playground.slack import PlaygroundSlack

METADATA = {"event_type": "sre_agent_turn", "event_payload": {"turn_id": "t-1"}}


async def opened(
    slack: PlaygroundSlack, client: AsyncWebClient, mode: str = "plan"
) -> tuple[str, AsyncChatStream]:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> hello")
    stream = await client.chat_stream(
        channel="C0CHECKOUT",
        thread_ts=ts,
        recipient_team_id="T0ACME",
        recipient_user_id="U0MAYA",
        task_display_mode=mode,
        buffer_size=1,
    )
    return ts, stream


async def replies(client: AsyncWebClient, ts: str) -> list[dict[str, object]]:
    answer = await client.conversations_replies(channel="C0CHECKOUT", ts=ts, include_all_metadata=True)
    return list(answer["messages"])


async def test_a_finished_stream_shows_plan_text_feedback_and_metadata(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts, stream = await opened(slack, client)
    look = TaskUpdateChunk(id="t1", title="Look at checkout", status="in_progress")
    await stream.append(chunks=[PlanUpdateChunk(title="Reading"), look])
    await stream.append(markdown_text="**Before** you ")
    done = TaskUpdateChunk(id="t1", title="Look at checkout", status="complete", output="3 files")
    await stream.append(chunks=[done, MarkdownTextChunk(text="launch")])
    side = {"text": {"type": "plain_text", "text": "ok"}, "value": "good"}
    feedback = FeedbackButtonsElement(action_id="feedback", positive_button=side, negative_button=side)
    await stream.stop(blocks=[ContextActionsBlock(elements=[feedback])], metadata=METADATA)

    message = (await replies(client, ts))[1]
    assert message["text"] == "**Before** you launch"
    assert message["metadata"] == METADATA
    plan, text, actions = message["blocks"]  # type: ignore[misc]
    assert plan["title"] == "Reading"
    assert [(task["task_id"], task["status"]) for task in plan["tasks"]] == [("t1", "complete")]
    assert (text["type"], text["text"]) == ("markdown", "**Before** you launch")
    assert actions["elements"][0]["action_id"] == "feedback"


async def test_a_task_that_joins_the_plan_does_not_split_the_text(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts, stream = await opened(slack, client)
    await stream.append(chunks=[TaskUpdateChunk(id="t1", title="Look", status="complete")])
    await stream.append(markdown_text="| a | b")
    await stream.append(chunks=[TaskUpdateChunk(id="t2", title="Ask", status="complete")])
    await stream.append(markdown_text=" |")
    await stream.stop()
    plan, text = (await replies(client, ts))[1]["blocks"]  # type: ignore[misc]
    assert [task["task_id"] for task in plan["tasks"]] == ["t1", "t2"]
    assert text["text"] == "| a | b |"


async def test_a_timeline_keeps_tasks_between_the_texts(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts, stream = await opened(slack, client, "timeline")
    await stream.append(markdown_text="first ")
    await stream.append(chunks=[TaskUpdateChunk(id="t1", title="Look", status="complete")])
    await stream.append(markdown_text="last")
    await stream.stop()
    blocks = (await replies(client, ts))[1]["blocks"]
    assert [block["type"] for block in blocks] == ["markdown", "task_card", "markdown"]  # type: ignore[attr-defined]


async def test_an_unfinished_stream_shows_what_it_has_and_no_metadata(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts, stream = await opened(slack, client)
    await stream.append(markdown_text="so far")
    message = (await replies(client, ts))[1]
    assert message["text"] == "so far"
    assert "metadata" not in message
    assert slack.thread("C0CHECKOUT", ts)[1].streaming is True


async def test_a_direct_message_streams_without_recipients(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts = await slack.say("U0MAYA", "U0AGENT", "hello")
    stream = await client.chat_stream(channel=slack.dm("U0MAYA"), thread_ts=ts)
    await stream.append(markdown_text="hi")
    await stream.stop()
    assert [message.text for message in slack.thread(slack.dm("U0MAYA"), ts)] == ["hello", "hi"]


async def test_the_stop_button_ends_streams_and_tells_the_agent(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    told: list[dict[str, object]] = []
    slack.workspace.on_event.append(lambda event: told.append(event.body["event"]))
    ts, stream = await opened(slack, client)
    await stream.append(markdown_text="half a sent")
    await client.agents_sessions_setStatus(channel_id="C0CHECKOUT", thread_ts=ts, status="processing")
    await slack.stop("U0MAYA", "C0CHECKOUT", ts)

    event = told[-1]
    assert event["type"] == "agent_session_stopped"
    assert (event["channel"], event["thread_ts"], event["user"]) == ("C0CHECKOUT", ts, "U0MAYA")
    assert event["streaming_message_ts"] == [stream.ts]
    with pytest.raises(SlackApiError) as raised:
        await stream.append(markdown_text="ence")
    assert raised.value.response["error"] == "stopped_by_user"
    assert stream.ts
    await client.chat_stopStream(channel="C0CHECKOUT", ts=stream.ts, session_status="active")
    assert slack.workspace.sessions["C0CHECKOUT", ts].status == "active"


async def test_a_thread_is_read_in_pages_and_from_a_point(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "root")
    said = [await slack.say("U0OMAR", "C0CHECKOUT", f"reply {n}", thread_ts=ts) for n in range(5)]
    seen: list[str] = []
    async for page in await client.conversations_replies(channel="C0CHECKOUT", ts=ts, limit=2):
        seen += [message["text"] for message in page["messages"]]
    assert seen == ["root", *(f"reply {n}" for n in range(5))]
    late = await client.conversations_replies(channel="C0CHECKOUT", ts=ts, oldest=said[2])
    assert [message["text"] for message in late["messages"]] == ["root", "reply 3", "reply 4"]
    newest = await client.conversations_history(channel="C0CHECKOUT", limit=1)
    assert newest["messages"][0]["reply_count"] == 5
