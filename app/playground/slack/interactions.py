"""Clicks, modals and what follows from them: trigger ids, response URLs, the payloads Slack sends.

Payload shapes from https://docs.slack.dev/reference/interaction-payloads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.playground.slack import blocks, shapes
from app.playground.slack.elements import Fault, string, text_object
from app.playground.slack.records import Json, Message, User, View
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.workspace import Workspace

TRIGGER_SECONDS = 3
RESPONSE_URL_SECONDS = 1800
RESPONSE_URL_USES = 5


@dataclass
class ResponseUrl:
    """Where the app may answer an interaction without a token, five times within thirty minutes."""

    message: Message
    user: str
    made_at: float
    used: int = 0


class Interactions:
    """Everything a person does to a message besides writing."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._triggers: dict[str, tuple[str, float]] = {}
        self._responses: dict[str, ResponseUrl] = {}
        self.deliver: Callable[[Json], None] = lambda payload: None
        """Sends an interaction payload to the app; the delivery sets it."""

    # --- clicks ------------------------------------------------------------------------------------------

    def click(self, user: User, message: Message, action_id: str, value: Any = None) -> Json:
        """The `block_actions` payload of a click on the element `action_id`, sent to the app.

        `value` picks a side of feedback buttons, an option of a select, or one of several equal buttons.

        Raises:
            SlackRefusal: `action_not_found` when the message has no such element.
        """
        block, element = self._find(message.blocks, action_id, value)
        return self._send(user, message, block, element, value)

    def _send(self, user: User, message: Message, block: Json, element: Json, value: Any) -> Json:
        workspace = self._workspace
        channel = workspace.channels[message.channel]
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": message.visible_to is not None,
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = self._base("block_actions", user) | {
            "container": container,
            "trigger_id": self._trigger(user),
            "channel": {"id": channel.id, "name": "directmessage" if channel.kind == "im" else channel.name},
            "message": shapes.message(workspace, message),
            "state": {"values": {}},
            "response_url": self._response_url(message, user),
            "actions": [_action(block, element, value) | {"action_ts": workspace.next_ts()}],
        }
        self.deliver(payload)
        return payload

    def _find(self, inside: list[Json], action_id: str, value: Any) -> tuple[Json, Json]:
        found = [(b, e) for b, e in blocks.interactive_elements(inside) if e["action_id"] == action_id]
        if not found:
            raise SlackRefusal("action_not_found", f"[ERROR] no element with action_id {action_id}")
        same_value = [(b, e) for b, e in found if e.get("value") == value]
        return (same_value or found)[0]

    def _base(self, kind: str, user: User) -> Json:
        workspace = self._workspace
        return {
            "type": kind,
            "user": shapes.person(user),
            "api_app_id": workspace.app_id,
            "token": "playground-verification-token",
            "team": {"id": workspace.team.id, "domain": workspace.team.domain},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _trigger(self, user: User) -> str:
        trigger = self._workspace.ids("") + ".trigger"
        self._triggers[trigger] = (user.id, self._workspace.clock())
        return trigger

    # --- response URLs -----------------------------------------------------------------------------------

    def _response_url(self, message: Message, user: User) -> str:
        key = self._workspace.ids("r")
        self._responses[key] = ResponseUrl(message, user.id, self._workspace.clock())
        return f"{self._workspace.url}/actions/{self._workspace.team.id}/{key}"

    def respond(self, key: str, body: Json) -> None:
        """What the app posted to a response URL.

        Raises:
            SlackRefusal: `expired_url` after thirty minutes, `used_url` after five uses, and what a message
                is refused for.
        """
        workspace, url = self._workspace, self._responses.get(key)
        if url is None or workspace.clock() - url.made_at > RESPONSE_URL_SECONDS:
            raise SlackRefusal("expired_url")
        if url.used >= RESPONSE_URL_USES:
            raise SlackRefusal("used_url")
        url.used += 1
        if body.get("delete_original"):
            self._take_away(url.message)
            return
        text, made, _ = workspace.content(
            text=body.get("text"), markdown=body.get("markdown_text"), raw_blocks=body.get("blocks")
        )
        if body.get("replace_original"):
            self._replace(url.message, text, made)
            return
        channel = workspace.channels[url.message.channel]
        message = workspace.agent_message(channel, body.get("thread_ts"), text=text, blocks=made)
        if body.get("response_type") == "in_channel":
            workspace.add(message)
        else:
            self.show_ephemeral(message, url.user)

    def show_ephemeral(self, message: Message, user: str) -> None:
        message.visible_to = user
        self._workspace.ephemeral.append(message)
        self._workspace.changed("ephemeral", message.channel, message)

    def _take_away(self, message: Message) -> None:
        if message.visible_to is None:
            self._workspace.remove(message)
        else:
            self._workspace.ephemeral.remove(message)
            self._workspace.changed("removed", message.channel, message)

    def _replace(self, message: Message, text: str, made: list[Json]) -> None:
        workspace = self._workspace
        previous = shapes.message(workspace, message)
        message.text, message.blocks = text, made
        if message.visible_to is None:
            workspace.rewritten(message, previous)
        else:
            workspace.changed("ephemeral", message.channel, message)

    # --- views -------------------------------------------------------------------------------------------

    def open_view(self, trigger_id: str, body: Any) -> View:
        """Show a modal to whoever made the trigger.

        Raises:
            SlackRefusal: `invalid_trigger_id`, `exchanged_trigger_id`, `expired_trigger_id` after three
                seconds, `invalid_arguments` for a view that breaks a rule.
        """
        workspace = self._workspace
        if trigger_id not in self._triggers:
            raise SlackRefusal("invalid_trigger_id")
        user, made_at = self._triggers[trigger_id]
        if user == "":
            raise SlackRefusal("exchanged_trigger_id")
        if workspace.clock() - made_at > TRIGGER_SECONDS:
            raise SlackRefusal("expired_trigger_id")
        self._triggers[trigger_id] = ("", made_at)
        return self._show(user, _checked_view(body, ("modal",), workspace))

    def update_view(self, view_id: str, view_hash: str | None, body: Any) -> View:
        view = self._workspace.views.get(view_id)
        if view is None:
            raise SlackRefusal("not_found")
        if view_hash and view_hash != view.hash:
            raise SlackRefusal("hash_conflict")
        view.body = _checked_view(body, (view.type,), self._workspace)
        view.hash = self._workspace.ids("")
        self._workspace.changed("view", item=view)
        return view

    def publish_view(self, user_id: str, body: Any) -> View:
        self._workspace.user(user_id)
        return self._show(user_id, _checked_view(body, ("home",), self._workspace))

    def _show(self, user: str, body: Json) -> View:
        workspace = self._workspace
        view_id = f"VHOME{user}" if body["type"] == "home" else workspace.ids("V")
        view = View(view_id, user, body["type"], body, workspace.ids(""), root_id=view_id)
        workspace.views[view_id] = view
        workspace.changed("view", item=view)
        return view

    def submit_view(self, view_id: str, values: Json) -> Json:
        """The `view_submission` payload of a filled modal: `values` is block id → action id → state."""
        workspace = self._workspace
        view = workspace.views[view_id]
        user = workspace.users[view.user]
        shown = view_json(workspace, view)
        shown["state"] = {"values": values}
        return self._base("view_submission", user) | {
            "trigger_id": self._trigger(user),
            "view": shown,
            "response_urls": [],
        }

    def answered(self, view_id: str, answer: Json | None) -> Json:
        """What the app's ack does to the modal it answers: closes it, shows errors, another view or none."""
        workspace = self._workspace
        action = (answer or {}).get("response_action")
        if action == "errors":
            return {"errors": (answer or {})["errors"]}
        if action in ("update", "push"):
            self.update_view(view_id, None, (answer or {})["view"])
            return {}
        view = workspace.views.pop(view_id)
        workspace.changed("view", item=view)
        return {}


def view_json(workspace: Workspace, view: View) -> Json:
    """A view as Slack shows it to the app."""
    return view.body | {
        "id": view.id,
        "team_id": workspace.team.id,
        "app_id": workspace.app_id,
        "app_installed_team_id": workspace.team.id,
        "bot_id": workspace.bot_id,
        "hash": view.hash,
        "root_view_id": view.root_id,
        "previous_view_id": None,
        "external_id": view.external_id,
        "state": {"values": {}},
    }


def _checked_view(body: Any, kinds: tuple[str, ...], workspace: Workspace) -> Json:
    if not isinstance(body, dict) or body.get("type") not in kinds:
        raise SlackRefusal("invalid_arguments", "[ERROR] invalid view type [json-pointer:/view/type]")
    try:
        if body["type"] == "modal":
            text_object(body.get("title"), 24, "/view/title", only="plain_text")
            for part in ("submit", "close"):
                if part in body:
                    text_object(body[part], 24, f"/view/{part}", only="plain_text")
        string(body.get("private_metadata", ""), 3000, "/view/private_metadata", least=0)
        string(body.get("callback_id", "-"), 255, "/view/callback_id", least=0)
        made = blocks.checked(body.get("blocks"), most=blocks.MOST_VIEW_BLOCKS, ids=workspace.ids)
        if body["type"] == "modal" and "submit" not in body and any(b["type"] == "input" for b in made):
            raise Fault("submit is required with an input block", "/view/submit")
    except (Fault, SlackRefusal) as fault:
        raise SlackRefusal("invalid_arguments", str(fault)) from None
    defaults = {"private_metadata": "", "callback_id": "", "clear_on_close": False, "notify_on_close": False}
    return defaults | body | {"blocks": made}


def _action(block: Json, element: Json, value: Any) -> Json:
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
    }
    if element["type"] == "feedback_buttons":
        sides = [element["positive_button"], element["negative_button"]]
        chosen = next((side for side in sides if side["value"] == value), sides[0])
        return action | {"text": chosen["text"], "value": chosen["value"]}
    if "select" in element["type"] or element["type"] in ("radio_buttons", "overflow"):
        return action | {"selected_option": _option(element, value)}
    if element["type"] == "checkboxes":
        return action | {"selected_options": [_option(element, each) for each in value or []]}
    shown = {key: element[key] for key in ("text", "value", "url", "style") if key in element}
    return action | shown


def _option(element: Json, value: Any) -> Json:
    groups = [group["options"] for group in element.get("option_groups", [])]
    options: list[Json] = element.get("options", []) + [each for group in groups for each in group]
    if not options:
        return {"text": {"type": "plain_text", "text": str(value)}, "value": value}
    return next((option for option in options if option["value"] == value), options[0])
