"""Streaming text into a message."""

from app.playground.slack import shapes
from app.playground.slack.limits import TIER_2, TIER_4
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.workspace import MARKDOWN_CHARACTERS


def _markdown(call: Call) -> str | None:
    text = call.arguments.text("markdown_text")
    if text is not None and len(text) > MARKDOWN_CHARACTERS:
        raise SlackRefusal("msg_too_long")
    return text


@method(
    "chat.startStream",
    TIER_2,
    "chat:write",
    arguments="channel thread_ts markdown_text chunks recipient_team_id recipient_user_id task_display_mode "
    "icon_emoji icon_url username",
)
def start_stream(call: Call) -> Json:
    given = call.arguments
    message = call.desk.streams.start(
        channel_id=given.required("channel"),
        thread_ts=given.required("thread_ts"),
        recipient_team=given.text("recipient_team_id"),
        recipient_user=given.text("recipient_user_id"),
        markdown=_markdown(call),
        chunks=given.json("chunks", "invalid_chunks"),
        display=given.text("task_display_mode") or "timeline",
    )
    return {"channel": message.channel, "ts": message.ts}


@method("chat.appendStream", TIER_4, "chat:write", arguments="channel ts markdown_text chunks")
def append_stream(call: Call) -> Json:
    given = call.arguments
    message = call.desk.streams.append(
        given.required("channel"),
        given.required("ts"),
        _markdown(call),
        given.json("chunks", "invalid_chunks"),
    )
    return {"channel": message.channel, "ts": message.ts}


@method(
    "chat.stopStream",
    TIER_2,
    "chat:write",
    arguments="channel ts markdown_text chunks blocks metadata session_status",
)
def stop_stream(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    status = given.text("session_status")
    if status is not None and status not in ("active", "processing", "suspended", "closed"):
        raise SlackRefusal("invalid_arguments", "[ERROR] unknown session_status")
    message = call.desk.streams.stop(
        given.required("channel"),
        given.required("ts"),
        markdown=_markdown(call),
        chunks=given.json("chunks", "invalid_chunks"),
        raw_blocks=given.json("blocks", "invalid_blocks_format"),
        metadata=given.json("metadata", "invalid_metadata_format"),
    )
    if status and (session := workspace.sessions.get((message.channel, message.root_ts))):
        session.status = status  # type: ignore[assignment]
        workspace.changed("session", message.channel, session)
    shown = shapes.message(workspace, message, with_metadata=True)
    return {"channel": message.channel, "ts": message.ts, "message": shown}
