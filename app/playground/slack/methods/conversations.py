"""Reading channels and threads."""

from app.playground.slack import shapes
from app.playground.slack.arguments import Arguments, page
from app.playground.slack.limits import TIER_3, TIER_4
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Channel, Json, Message
from app.playground.slack.refusal import SlackRefusal

PLURAL = {"channel": "channels", "group": "groups", "im": "im"}


def _readable(call: Call) -> Channel:
    """The channel, when the token may read its history and the agent is in it."""
    workspace = call.workspace
    channel = workspace.channel(call.arguments.required("channel"))
    workspace.demand_scope(f"{PLURAL[channel.kind]}:history")
    if workspace.agent.id not in channel.members:
        raise SlackRefusal("not_in_channel")
    return channel


def _between(arguments: Arguments, messages: list[Message]) -> list[Message]:
    oldest = _timestamp(arguments.text("oldest"), "invalid_ts_oldest")
    latest = _timestamp(arguments.text("latest"), "invalid_ts_latest")
    inclusive = arguments.flag("inclusive")
    return [
        message
        for message in messages
        if (oldest is None or float(message.ts) > oldest or (inclusive and float(message.ts) == oldest))
        and (latest is None or float(message.ts) < latest or (inclusive and float(message.ts) == latest))
    ]


def _timestamp(raw: str | None, error: str) -> float | None:
    if not raw or raw == "0":
        return None
    try:
        return float(raw)
    except ValueError:
        raise SlackRefusal(error) from None


RANGE = "channel cursor limit oldest latest inclusive include_all_metadata"


@method("conversations.replies", TIER_3, arguments=f"{RANGE} ts")
def replies(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    channel = _readable(call)
    ts = given.text("ts") or ""
    root = workspace.message(channel, ts, "thread_not_found").root_ts
    thread = channel.thread(root)
    # Slack gives the root with every range.
    wanted = [thread[0], *_between(given, thread[1:])] if thread else _between(given, [channel.messages[ts]])
    return _messages(call, wanted)


@method("conversations.history", TIER_3, arguments=RANGE)
def history(call: Call) -> Json:
    channel = _readable(call)
    top = [message for message in channel.messages.values() if not message.is_reply]
    newest_first = sorted(_between(call.arguments, top), key=lambda message: message.ts, reverse=True)
    return _messages(call, newest_first)


def _messages(call: Call, wanted: list[Message]) -> Json:
    shown, rest = page(wanted, call.arguments, default=1000)
    with_metadata = call.arguments.flag("include_all_metadata")
    body: Json = {
        "messages": [shapes.message(call.workspace, item, with_metadata=with_metadata) for item in shown],
        "has_more": bool(rest["next_cursor"]),
    }
    return body | ({"response_metadata": rest} if rest["next_cursor"] else {})


@method("conversations.info", TIER_3, arguments="channel include_locale include_num_members")
def info(call: Call) -> Json:
    workspace = call.workspace
    channel = workspace.channel(call.arguments.required("channel"))
    workspace.demand_scope(f"{PLURAL[channel.kind]}:read")
    return {"channel": channel.as_json(workspace.agent.id)}


@method("conversations.members", TIER_4, arguments="channel cursor limit")
def members(call: Call) -> Json:
    workspace = call.workspace
    channel = workspace.channel(call.arguments.required("channel"))
    workspace.demand_scope(f"{PLURAL[channel.kind]}:read")
    shown, rest = page(sorted(channel.members), call.arguments)
    return {"members": shown, "response_metadata": rest}


@method("conversations.open", TIER_3, "im:write", arguments="channel users return_im prevent_creation")
def open_conversation(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    if given.text("channel"):
        channel = workspace.channel(given.required("channel"))
    else:
        people = given.required("users").split(",")
        if len(people) != 1:
            raise SlackRefusal("invalid_user_combination")
        channel = workspace.direct_message(people[0])
    return {"channel": channel.as_json(workspace.agent.id) if given.flag("return_im") else {"id": channel.id}}


@method("users.conversations", TIER_3, arguments="cursor exclude_archived limit team_id types user")
def of_member(call: Call) -> Json:
    """The channels of a member, the agent's own by default; https://docs.slack.dev/reference/methods/users.conversations"""
    workspace = call.workspace
    workspace.demand_scope("channels:read")
    member = call.arguments.text("user") or workspace.agent.id
    kinds = {"public_channel": "channel", "private_channel": "group", "im": "im"}
    asked = (call.arguments.text("types") or "public_channel").split(",")
    if unknown := [each for each in asked if each not in (*kinds, "mpim")]:
        raise SlackRefusal("invalid_types", ", ".join(unknown))
    wanted = {kinds.get(each) for each in asked}
    found = [each for each in workspace.channels.values() if each.kind in wanted and member in each.members]
    shown, rest = page(sorted(found, key=lambda each: each.id), call.arguments)
    return {"channels": [each.as_json(workspace.agent.id) for each in shown], "response_metadata": rest}
