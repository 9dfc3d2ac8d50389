"""Agent sessions and the older assistant threads: what a thread shows while the agent works."""

from typing import get_args

from app.playground.slack.limits import SPECIAL, TIER_3
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Channel, Json, Session, SessionStatus, Status
from app.playground.slack.refusal import SlackRefusal

STATUSES = get_args(SessionStatus)


def _thread(call: Call) -> tuple[Channel, str]:
    given, workspace = call.arguments, call.workspace
    channel = workspace.channel(given.text("channel_id") or "")
    if workspace.agent.id not in channel.members:
        raise SlackRefusal("not_authorized")
    thread_ts = given.text("thread_ts")
    if not thread_ts:
        raise SlackRefusal("thread_ts_required")
    return channel, thread_ts


@method(
    "agents.sessions.setStatus",
    TIER_3,
    "chat:write",
    arguments="channel_id status thread_ts title initiator_user_id icon_emoji icon_url username",
)
def set_session_status(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    status = given.text("status")
    if status not in STATUSES:
        raise SlackRefusal("invalid_status")
    channel, thread_ts = _thread(call)
    if given.text("initiator_user_id"):
        workspace.user(given.required("initiator_user_id"))
    title = given.text("title") or ""
    if len(title) > 200:
        raise SlackRefusal("invalid_arguments", "[ERROR] title must be at most 200 characters")
    session = workspace.sessions.setdefault(
        (channel.id, thread_ts), Session(channel.id, thread_ts, title=title)
    )
    session.status = status  # type: ignore[assignment]
    workspace.changed("session", channel.id, session)
    body = {"status": status, "agent_status": status, "title": session.title}
    if "agent_session_stopped" not in workspace.subscribed:
        body["warning"] = "missing_agent_session_stopped_event_subscription"
    return body


@method("agents.sessions.rename", TIER_3, "chat:write", arguments="channel_id thread_ts title")
def rename_session(call: Call) -> Json:
    workspace = call.workspace
    channel, thread_ts = _thread(call)
    session = workspace.sessions.get((channel.id, thread_ts))
    if session is None:
        raise SlackRefusal("session_not_found")
    title = call.arguments.required("title")
    if len(title) > 200:
        raise SlackRefusal("invalid_arguments", "[ERROR] title must be at most 200 characters")
    session.title = title
    workspace.changed("session", channel.id, session)
    return {"title": title}


def _status(call: Call) -> Status:
    channel, thread_ts = _thread(call)
    call.workspace.message(channel, thread_ts, "invalid_thread_ts")
    return call.workspace.statuses.setdefault((channel.id, thread_ts), Status(channel.id, thread_ts))


@method(
    "assistant.threads.setStatus",
    SPECIAL,
    "assistant:write",
    "chat:write",
    arguments="channel_id thread_ts status loading_messages icon_emoji icon_url username",
)
def set_status(call: Call) -> Json:
    status = _status(call)
    status.text = call.arguments.text("status") or ""
    call.workspace.changed("status", status.channel, status)
    return {}


@method("assistant.threads.setTitle", SPECIAL, "assistant:write", arguments="channel_id thread_ts title")
def set_title(call: Call) -> Json:
    status = _status(call)
    status.title = call.arguments.required("title")
    call.workspace.changed("status", status.channel, status)
    return {}


@method(
    "assistant.threads.setSuggestedPrompts",
    SPECIAL,
    "assistant:write",
    arguments="channel_id thread_ts prompts title",
)
def set_prompts(call: Call) -> Json:
    prompts = call.arguments.json("prompts")
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
        raise SlackRefusal("invalid_arguments", "[ERROR] prompts must be one to four")
    status = _status(call)
    status.prompts = prompts
    call.workspace.changed("status", status.channel, status)
    return {}
