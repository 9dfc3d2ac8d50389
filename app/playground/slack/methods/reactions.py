"""Emoji under messages."""

import re

from app.playground.slack import shapes
from app.playground.slack.limits import TIER_2, TIER_3
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json, Message
from app.playground.slack.refusal import SlackRefusal

EMOJI = re.compile(r"[a-z0-9_+'\-]+(::skin-tone-[2-6])?\Z")


def _target(call: Call) -> tuple[Message, str]:
    given, workspace = call.arguments, call.workspace
    name = (given.text("name") or "").strip(":")
    if not EMOJI.match(name):
        raise SlackRefusal("invalid_name")
    if not given.text("timestamp") or not given.text("channel"):
        raise SlackRefusal("no_item_specified")
    channel = workspace.channel(given.required("channel"))
    if workspace.agent.id not in channel.members:
        raise SlackRefusal("not_in_channel")
    return workspace.message(channel, given.required("timestamp")), name


@method("reactions.add", TIER_3, "reactions:write", arguments="channel name timestamp")
def add(call: Call) -> Json:
    message, name = _target(call)
    people = message.reactions.setdefault(name, [])
    if call.workspace.agent.id in people:
        raise SlackRefusal("already_reacted")
    people.append(call.workspace.agent.id)
    call.workspace.changed("message", message.channel, message)
    return {}


@method("reactions.remove", TIER_2, "reactions:write", arguments="channel name timestamp file file_comment")
def remove(call: Call) -> Json:
    message, name = _target(call)
    people = message.reactions.get(name, [])
    if call.workspace.agent.id not in people:
        raise SlackRefusal("no_reaction")
    people.remove(call.workspace.agent.id)
    if not people:
        del message.reactions[name]
    call.workspace.changed("message", message.channel, message)
    return {}


@method("reactions.get", TIER_3, "reactions:read", arguments="channel timestamp full file file_comment")
def get(call: Call) -> Json:
    workspace = call.workspace
    channel = workspace.channel(call.arguments.required("channel"))
    message = workspace.message(channel, call.arguments.required("timestamp"))
    return {"type": "message", "channel": channel.id, "message": shapes.message(workspace, message)}
