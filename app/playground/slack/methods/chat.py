"""Posting, changing and removing messages."""

from app.playground.slack import shapes
from app.playground.slack.limits import POSTING, SPECIAL, TIER_3, TIER_4
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.workspace import UPDATE_CHARACTERS

CUSTOM = "icon_emoji icon_url username"


def _demand_customize(call: Call) -> None:
    if any(call.arguments.text(name) for name in CUSTOM.split()):
        call.workspace.demand_scope("chat:write.customize")


@method(
    "chat.postMessage",
    POSTING,
    "chat:write",
    arguments="channel text blocks attachments markdown_text metadata thread_ts reply_broadcast mrkdwn parse "
    f"link_names unfurl_links unfurl_media as_user client_msg_id {CUSTOM}",
)
def post_message(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    _demand_customize(call)
    channel = workspace.joined_channel(given.required("channel"))
    attachments = given.json("attachments") or []
    text, made, warnings = workspace.content(
        text=given.text("text"),
        markdown=given.text("markdown_text"),
        raw_blocks=given.json("blocks", "invalid_blocks_format"),
        attachments=attachments,
    )
    message = workspace.agent_message(
        channel,
        given.text("thread_ts") or None,
        text=text,
        blocks=made,
        attachments=attachments,
        metadata=workspace.metadata(given.json("metadata", "invalid_metadata_format")),
        username=given.text("username"),
    )
    workspace.add(message)
    body = {"channel": channel.id, "ts": message.ts, "message": _shown(call, message.ts, channel.id)}
    return body | ({"response_metadata": {"warnings": warnings}} if warnings else {})


def _shown(call: Call, ts: str, channel_id: str) -> Json:
    workspace = call.workspace
    return shapes.message(workspace, workspace.channels[channel_id].messages[ts], with_metadata=True)


@method(
    "chat.postEphemeral",
    TIER_4,
    "chat:write",
    arguments="channel user text blocks attachments markdown_text thread_ts link_names parse as_user "
    + CUSTOM,
)
def post_ephemeral(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    _demand_customize(call)
    channel = workspace.joined_channel(given.required("channel"))
    user = workspace.user(given.required("user"))
    if user.id not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    text, made, _ = workspace.content(
        text=given.text("text"),
        markdown=given.text("markdown_text"),
        raw_blocks=given.json("blocks", "invalid_blocks_format"),
    )
    message = workspace.agent_message(channel, given.text("thread_ts") or None, text=text, blocks=made)
    call.desk.interactions.show_ephemeral(message, user.id)
    return {"message_ts": message.ts}


@method(
    "chat.update",
    TIER_3,
    "chat:write",
    arguments="channel ts text blocks attachments markdown_text metadata link_names parse as_user "
    "reply_broadcast file_ids",
)
def update(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    channel = workspace.joined_channel(given.required("channel"))
    message = workspace.own_message(channel, given.required("ts"), "cant_update_message")
    if call.desk.streams.is_streaming(message):
        raise SlackRefusal("streaming_state_conflict")
    if len(given.text("text") or "") > UPDATE_CHARACTERS:
        raise SlackRefusal("msg_too_long")
    raw_blocks = given.json("blocks", "invalid_blocks_format")
    text, made, _ = workspace.content(
        text=given.text("text"), markdown=given.text("markdown_text"), raw_blocks=raw_blocks
    )
    metadata = given.json("metadata", "invalid_metadata_format")
    checked = workspace.metadata(metadata)
    previous = shapes.message(workspace, message)
    message.text = text
    # A text alone leaves the blocks away: Slack drops them unless they are sent again.
    message.blocks = made
    if metadata is not None:
        message.metadata = checked
    message.edited = {"user": workspace.bot_id, "ts": workspace.next_ts()}
    workspace.rewritten(message, previous)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": _shown(call, message.ts, channel.id),
    }


@method("chat.delete", TIER_3, "chat:write", arguments="channel ts as_user")
def delete(call: Call) -> Json:
    workspace = call.workspace
    channel = workspace.joined_channel(call.arguments.required("channel"))
    message = workspace.own_message(channel, call.arguments.required("ts"), "cant_delete_message")
    workspace.remove(message)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.getPermalink", SPECIAL, arguments="channel message_ts")
def permalink(call: Call) -> Json:
    workspace = call.workspace
    channel = workspace.channel(call.arguments.required("channel"))
    message = workspace.message(channel, call.arguments.required("message_ts"))
    link = f"{workspace.url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.root_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}
