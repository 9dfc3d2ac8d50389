"""Every call Slack documents as refused is refused, with Slack's own error string."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from app.playground.slack import PlaygroundSlack, Workspace
from tests.playground.conftest import Clock

MRKDWN = {"type": "mrkdwn", "text": "text"}
PLAIN = {"type": "plain_text", "text": "text"}
BUTTON = {"type": "button", "text": PLAIN, "action_id": "go", "value": "1"}
TASK = {"type": "task_update", "id": "t1", "title": "Look", "status": "in_progress"}
TEXT_CHUNK = {"type": "markdown_text", "text": "hello"}
HERE = {"channel": "C0CHECKOUT"}
RECIPIENT = {"recipient_team_id": "T0ACME", "recipient_user_id": "U0MAYA"}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


async def refused(client: AsyncWebClient, method: str, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as raised:
        await client.api_call(method, json=arguments)
    return str(raised.value.response["error"])


POSTS = [
    ("no_text", {"channel": "C0CHECKOUT"}),
    ("no_text", {"channel": "C0CHECKOUT", "text": "  "}),
    ("no_text", {"channel": "C0CHECKOUT", "markdown_text": " "}),
    ("channel_not_found", {"channel": "C0NOWHERE", "text": "x"}),
    ("not_in_channel", {"channel": "C0GENERAL", "text": "x"}),
    ("markdown_text_conflict", HERE | {"markdown_text": "x", "text": "x"}),
    ("markdown_text_conflict", HERE | {"markdown_text": "x", "blocks": [section("x")]}),
    ("msg_too_long", HERE | {"markdown_text": "x" * 12_001}),
    ("invalid_thread_ts", HERE | {"text": "x", "thread_ts": "yesterday"}),
    ("thread_not_found", HERE | {"text": "x", "thread_ts": "1.000001"}),
    ("invalid_arguments", {"text": "x"}),
    ("invalid_arguments", HERE | {"text": "x", "colour": "red"}),
    ("invalid_metadata_format", HERE | {"text": "x", "metadata": "{not json"}),
    ("invalid_metadata_format", HERE | {"text": "x", "metadata": ["a"]}),
    ("invalid_metadata_schema", HERE | {"text": "x", "metadata": {"event_type": "a"}}),
    ("invalid_metadata_schema", HERE | {"text": "x", "metadata": {"event_payload": {}}}),
    ("invalid_metadata_schema", HERE | {"text": "x", "metadata": {"event_type": "a", "event_payload": "b"}}),
    (
        "metadata_too_large",
        HERE | {"text": "x", "metadata": {"event_type": "a", "event_payload": {"k": "v" * 9000}}},
    ),
    ("missing_scope", HERE | {"text": "x", "username": "somebody else"}),
    ("invalid_blocks_format", HERE | {"blocks": "{"}),
    ("invalid_blocks_format", HERE | {"blocks": {"type": "divider"}}),
]


@pytest.mark.parametrize(("error", "arguments"), POSTS)
async def test_a_post_that_slack_refuses_is_refused(
    client: AsyncWebClient, error: str, arguments: dict[str, Any]
) -> None:
    assert await refused(client, "chat.postMessage", **arguments) == error


def pie(*segments: dict[str, Any], title: str = "Share") -> dict[str, Any]:
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": "pie", "segments": list(segments)},
    }


SLICE = {"label": "a", "value": 1}
ROW = [{"type": "raw_text", "text": "a"}]
BAD_BLOCKS: list[tuple[str, list[dict[str, Any]]]] = [
    ("more than 50 blocks", [{"type": "divider"}] * 51),
    ("an unknown type", [{"type": "marquee"}]),
    ("a section without text", [{"type": "section"}]),
    ("a section of 3001 characters", [section("x" * 3001)]),
    ("eleven fields", [{"type": "section", "fields": [MRKDWN] * 11}]),
    ("an empty text", [section("")]),
    ("a header in mrkdwn", [{"type": "header", "text": MRKDWN}]),
    ("a header of 151 characters", [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]),
    ("eleven context elements", [{"type": "context", "elements": [MRKDWN] * 11}]),
    ("actions without elements", [{"type": "actions", "elements": []}]),
    ("26 actions", [{"type": "actions", "elements": [BUTTON | {"action_id": str(i)} for i in range(26)]}]),
    ("one action_id twice", [{"type": "actions", "elements": [BUTTON, BUTTON]}]),
    (
        "a button text of 76 characters",
        [{"type": "actions", "elements": [BUTTON | {"text": {"type": "plain_text", "text": "x" * 76}}]}],
    ),
    ("a button value of 2001", [{"type": "actions", "elements": [BUTTON | {"value": "x" * 2001}]}]),
    ("a button style of blue", [{"type": "actions", "elements": [BUTTON | {"style": "blue"}]}]),
    ("a button among context actions", [{"type": "context_actions", "elements": [BUTTON]}]),
    ("feedback without sides", [{"type": "context_actions", "elements": [{"type": "feedback_buttons"}]}]),
    ("one block_id twice", [section("a") | {"block_id": "b"}, section("b") | {"block_id": "b"}]),
    ("an image without alt text", [{"type": "image", "image_url": "https://example.com/a.png"}]),
    ("two tables", [{"type": "table", "rows": [ROW]}] * 2),
    ("a table of 101 rows", [{"type": "table", "rows": [ROW] * 101}]),
    ("a table of 21 columns", [{"type": "table", "rows": [ROW * 21]}]),
    ("three charts", [pie(SLICE)] * 3),
    ("a pie of seven", [pie(*[SLICE] * 7)]),
    ("a chart title of 51", [pie(SLICE, title="x" * 51)]),
    ("a task of unknown status", [{"type": "task_card", "task_id": "1", "title": "a", "status": "doing"}]),
    ("a plan of dividers", [{"type": "plan", "title": "a", "tasks": [{"type": "divider"}]}]),
    (
        "101 options",
        [section("a") | {"accessory": {"type": "static_select", "action_id": "a", "options": []}}],
    ),
    ("rich text of sections", [{"type": "rich_text", "elements": [section("a")]}]),
    ("a divider with text", [{"type": "divider", "text": PLAIN}]),
]


@pytest.mark.parametrize("blocks", [b for _, b in BAD_BLOCKS], ids=[name for name, _ in BAD_BLOCKS])
async def test_blocks_that_break_a_rule_are_refused(
    client: AsyncWebClient, blocks: list[dict[str, Any]]
) -> None:
    assert await refused(client, "chat.postMessage", channel="C0CHECKOUT", blocks=blocks) == "invalid_blocks"


async def test_a_refused_block_is_named_by_its_pointer(client: AsyncWebClient) -> None:
    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel="C0CHECKOUT", text="x", blocks=[section("ok"), section("")])
    assert "[json-pointer:/blocks/1/text/text]" in raised.value.response["response_metadata"]["messages"][0]


async def test_markdown_blocks_hold_12000_characters_together(client: AsyncWebClient) -> None:
    blocks = [{"type": "markdown", "text": "x" * 6000}, {"type": "markdown", "text": "x" * 6000}]
    await client.chat_postMessage(channel="C0CHECKOUT", text="x", blocks=blocks)
    blocks[0]["text"] += "x"
    assert await refused(client, "chat.postMessage", blocks=blocks, **HERE) == "msg_blocks_too_long"


GOOD_BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": PLAIN},
    {"type": "context", "elements": [MRKDWN]},
    {"type": "actions", "elements": [BUTTON]},
    {"type": "divider"},
    {"type": "table", "rows": [ROW, ROW]},
    {"type": "plan", "title": "Plan", "tasks": [{"type": "task_card", "task_id": "1", "title": "a"}]},
    {"type": "task_card", "task_id": "2", "title": "b", "status": "complete"},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]},
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    {"type": "file", "source": "remote", "external_id": "1"},
    pie(SLICE),
    {
        "type": "data_visualization",
        "title": "Latency",
        "chart": {
            "type": "line",
            "series": [{"name": "p95", "data": [{"label": "10:00", "value": 120.5}]}],
            "axis_config": {"categories": ["10:00"], "y_label": "ms"},
        },
    },
    {"type": "input", "label": PLAIN, "element": {"type": "plain_text_input", "action_id": "cause"}},
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "feedback",
                "positive_button": {"text": PLAIN, "value": "good"},
                "negative_button": {"text": PLAIN, "value": "bad"},
            }
        ],
    },
]


async def test_every_block_of_a_good_message_gets_an_id(client: AsyncWebClient) -> None:
    answer = await client.chat_postMessage(channel="C0CHECKOUT", text="x", blocks=GOOD_BLOCKS)
    ids = {block["block_id"] for block in answer["message"]["blocks"]}
    assert len(ids) == len(GOOD_BLOCKS)


STARTS = [
    ("missing_recipient_team_id", {"recipient_user_id": "U0MAYA"}),
    ("missing_recipient_user_id", {"recipient_team_id": "T0ACME"}),
    ("team_not_found", {"recipient_team_id": "T0NOBODY", "recipient_user_id": "U0MAYA"}),
    ("user_not_found", {"recipient_team_id": "T0ACME", "recipient_user_id": "U0NOBODY"}),
    (
        "cannot_provide_both_markdown_text_and_chunks",
        RECIPIENT | {"markdown_text": "a", "chunks": [TEXT_CHUNK]},
    ),
    ("msg_too_long", RECIPIENT | {"markdown_text": "x" * 12_001}),
    ("msg_too_long", RECIPIENT | {"chunks": [{"type": "markdown_text", "text": "x" * 12_001}]}),
    ("no_text", RECIPIENT | {"chunks": [{"type": "markdown_text", "text": ""}]}),
    ("invalid_chunks", RECIPIENT | {"chunks": [{"type": "confetti"}]}),
    ("invalid_chunks", RECIPIENT | {"chunks": [TASK | {"status": "doing"}]}),
    ("invalid_chunks", RECIPIENT | {"chunks": [TASK | {"output": "x" * 257}]}),
    ("invalid_chunks", RECIPIENT | {"chunks": [TASK | {"sources": [{"type": "url"}]}]}),
    ("invalid_blocks", RECIPIENT | {"chunks": [{"type": "blocks", "blocks": [{"type": "marquee"}]}]}),
    (
        "msg_blocks_too_many",
        RECIPIENT | {"chunks": [{"type": "blocks", "blocks": [{"type": "divider"}] * 51}]},
    ),
    ("invalid_arguments", RECIPIENT | {"metadata": {"event_type": "a", "event_payload": {}}}),
    ("invalid_arguments", RECIPIENT | {"blocks": [section("a")]}),
    ("invalid_arguments", RECIPIENT | {"task_display_mode": "cinema"}),
    ("thread_not_found", RECIPIENT | {"thread_ts": "1.000001"}),
    ("invalid_arguments", RECIPIENT | {"thread_ts": ""}),
]


@pytest.mark.parametrize(("error", "arguments"), STARTS)
async def test_a_stream_that_slack_refuses_is_refused(
    slack: PlaygroundSlack, client: AsyncWebClient, error: str, arguments: dict[str, Any]
) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    call = {"channel": "C0CHECKOUT", "thread_ts": ts} | arguments
    assert await refused(client, "chat.startStream", **call) == error


async def open_stream(slack: PlaygroundSlack, client: AsyncWebClient, **arguments: Any) -> dict[str, str]:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    started = await client.chat_startStream(channel="C0CHECKOUT", thread_ts=ts, **RECIPIENT, **arguments)
    return {"channel": "C0CHECKOUT", "ts": started["ts"]}


async def test_a_reply_starts_no_thread_of_its_own(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "root")
    reply = await slack.say("U0OMAR", "C0CHECKOUT", "reply", thread_ts=ts)
    call = {"channel": "C0CHECKOUT", "thread_ts": reply}
    assert await refused(client, "chat.postMessage", text="x", **call) == "cannot_reply_to_message"
    error = await refused(client, "chat.startStream", **(call | RECIPIENT))
    assert error == "cannot_reply_to_message"


async def test_nothing_is_appended_after_a_stop(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    stream = await open_stream(slack, client)
    await client.chat_stopStream(**stream, markdown_text="done")
    for method in ("chat.appendStream", "chat.stopStream"):
        error = await refused(client, method, markdown_text="more", **stream)
        assert error == "message_not_in_streaming_state"


async def test_a_stream_ends_by_itself_after_five_minutes(
    slack: PlaygroundSlack, client: AsyncWebClient, clock: Clock
) -> None:
    stream = await open_stream(slack, client, markdown_text="begun")
    clock.now += 299
    await client.chat_appendStream(**stream, markdown_text=" and")
    clock.now += 2
    for method in ("chat.appendStream", "chat.stopStream"):
        error = await refused(client, method, markdown_text="more", **stream)
        assert error == "message_not_in_streaming_state"
    await client.chat_update(**stream, text="begun and finished by an edit")


async def test_a_streamed_message_holds_12000_characters(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    stream = await open_stream(slack, client, markdown_text="x" * 11_999)
    await client.chat_appendStream(**stream, markdown_text="x")
    assert await refused(client, "chat.appendStream", markdown_text="x", **stream) == "msg_too_long"
    assert await refused(client, "chat.stopStream", markdown_text="x", **stream) == "msg_too_long"
    await client.chat_stopStream(**stream)


APPENDS = [
    ("no_text", {}),
    ("no_text", {"markdown_text": ""}),
    ("no_text", {"chunks": []}),
    ("streaming_mode_mismatch", {"chunks": [TASK]}),
    ("message_not_found", {"ts": "1.000001", "markdown_text": "a"}),
    ("invalid_chunks", {"chunks": "all of them"}),
]


@pytest.mark.parametrize(("error", "arguments"), APPENDS)
async def test_an_append_that_slack_refuses_is_refused(
    slack: PlaygroundSlack, client: AsyncWebClient, error: str, arguments: dict[str, Any]
) -> None:
    stream = await open_stream(slack, client, markdown_text="begun")
    assert await refused(client, "chat.appendStream", **(stream | arguments)) == error


async def test_a_refused_stop_leaves_the_stream_open(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    stream = await open_stream(slack, client)
    assert await refused(client, "chat.stopStream", **stream) == "no_text"
    too_many = [{"type": "divider"}] * 51
    assert await refused(client, "chat.stopStream", blocks=too_many, **stream) == "msg_blocks_too_many"
    wrong = {"event_type": "a"}
    error = await refused(client, "chat.stopStream", markdown_text="a", metadata=wrong, **stream)
    assert error == "invalid_metadata_schema"
    await client.chat_stopStream(**stream, markdown_text="done")
    assert slack.channel("C0CHECKOUT")[-1].text == "done"


async def test_somebody_elses_message_is_no_stream(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    error = await refused(client, "chat.appendStream", channel="C0CHECKOUT", ts=ts, markdown_text="a")
    assert error == "message_not_owned_by_app"


async def test_an_update_obeys_its_own_rules(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    theirs = await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    mine = (await client.chat_postMessage(channel="C0CHECKOUT", text="hello"))["ts"]
    streaming = (await open_stream(slack, client, markdown_text="x"))["ts"]
    cases = [
        ("cant_update_message", theirs, {"text": "x"}),
        ("message_not_found", "1.000001", {"text": "x"}),
        ("msg_too_long", mine, {"text": "x" * 4001}),
        ("msg_too_long", mine, {"markdown_text": "x" * 12_001}),
        ("no_text", mine, {}),
        ("streaming_state_conflict", streaming, {"text": "x"}),
    ]
    for error, ts, change in cases:
        assert await refused(client, "chat.update", channel="C0CHECKOUT", ts=ts, **change) == error
    assert await refused(client, "chat.delete", channel="C0CHECKOUT", ts=theirs) == "cant_delete_message"


async def test_reactions_obey_their_rules(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await client.reactions_add(channel="C0CHECKOUT", timestamp=ts, name="eyes")
    target = {"channel": "C0CHECKOUT", "timestamp": ts}
    assert await refused(client, "reactions.add", name="eyes", **target) == "already_reacted"
    assert await refused(client, "reactions.remove", name="x", **target) == "no_reaction"
    assert await refused(client, "reactions.add", name="Not An Emoji", **target) == "invalid_name"
    lost = target | {"timestamp": "1.000001"}
    assert await refused(client, "reactions.add", name="eyes", **lost) == "message_not_found"
    await client.reactions_remove(name="eyes", **target)
    assert slack.channel("C0CHECKOUT")[0].reactions == {}


READS = [
    ("channel_not_found", "conversations.replies", {"channel": "C0NOWHERE", "ts": "1.0"}),
    ("thread_not_found", "conversations.replies", {"channel": "C0CHECKOUT", "ts": "1.000001"}),
    ("not_in_channel", "conversations.history", {"channel": "C0GENERAL"}),
    ("invalid_cursor", "conversations.history", {"channel": "C0CHECKOUT", "cursor": "abc"}),
    ("channel_not_found", "conversations.info", {"channel": "C0NOWHERE"}),
    ("missing_scope", "conversations.open", {"users": "U0MAYA"}),
    ("missing_scope", "reactions.get", {"channel": "C0CHECKOUT", "timestamp": "1.0"}),
    ("missing_scope", "team.info", {}),
    ("user_not_found", "users.info", {"user": "U0NOBODY"}),
    ("users_not_found", "users.lookupByEmail", {"email": "nobody@acme.example"}),
    ("no_such_subteam", "usergroups.users.list", {"usergroup": "S0NOBODY"}),
    ("file_not_found", "files.info", {"file": "F0NOTHING"}),
    ("invalid_trigger_id", "views.open", {"trigger_id": "1.2.3", "view": {}}),
    ("invalid_status", "agents.sessions.setStatus", {"channel_id": "C0CHECKOUT", "status": "tired"}),
    ("thread_ts_required", "agents.sessions.setStatus", {"channel_id": "C0CHECKOUT", "status": "active"}),
    ("user_not_in_channel", "chat.postEphemeral", HERE | {"user": "U0STRANGER", "text": "x"}),
    ("message_not_found", "chat.getPermalink", HERE | {"message_ts": "1.000001"}),
    ("unknown_method", "chat.shout", {}),
]


@pytest.mark.parametrize(("error", "method", "arguments"), READS)
async def test_other_methods_refuse_as_documented(
    client: AsyncWebClient, error: str, method: str, arguments: dict[str, Any]
) -> None:
    assert await refused(client, method, **arguments) == error


async def test_a_missing_scope_is_named(client: AsyncWebClient) -> None:
    with pytest.raises(SlackApiError) as raised:
        await client.team_info()
    assert raised.value.response["needed"] == "team:read"
    assert "chat:write" in raised.value.response["provided"].split(",")


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [
        ("xoxb-wrong", "auth.test", "invalid_auth"),
        (None, "auth.test", "not_authed"),
        ("xapp-playground", "auth.test", "not_allowed_token_type"),
        ("xoxb-playground", "apps.connections.open", "not_allowed_token_type"),
    ],
)
async def test_a_token_opens_its_own_doors_only(
    slack: PlaygroundSlack, token: str | None, method: str, error: str
) -> None:
    client = AsyncWebClient(token=token, base_url=slack.api_url)
    assert await refused(client, method) == error


async def test_addresses_need_a_scope_of_their_own(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    found = await client.users_lookupByEmail(email="Maya@acme.example")
    assert (found["user"]["id"], found["user"]["profile"]["email"]) == ("U0MAYA", "maya@acme.example")
    slack.workspace.scopes.discard("users:read.email")
    assert await refused(client, "users.lookupByEmail", email="maya@acme.example") == "missing_scope"
    assert "email" not in (await client.users_info(user="U0MAYA"))["user"]["profile"]


async def test_scopes_can_be_taken_away(clock: Clock) -> None:
    workspace = Workspace.example(clock=clock, scopes={"users:read"})
    async with PlaygroundSlack(workspace) as slack:
        client = AsyncWebClient(token=workspace.bot_token, base_url=slack.api_url)
        for method in ("chat.postMessage", "chat.startStream", "reactions.add", "files.getUploadURLExternal"):
            assert await refused(client, method) == "missing_scope"
