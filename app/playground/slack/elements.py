"""Block Kit's smaller parts: text objects, options and the elements people click.

Limits are those of https://docs.slack.dev/reference/block-kit/block-elements and …/composition-objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.playground.slack.records import Json


class Fault(Exception):
    """A rule that was broken, with the JSON pointer of the place."""

    def __init__(self, what: str, at: str) -> None:
        super().__init__(f"[ERROR] {what} [json-pointer:{at}]")


def demand(holds: bool, what: str, at: str) -> None:
    if not holds:
        raise Fault(what, at)


def string(value: Any, most: int, at: str, *, least: int = 1) -> str:
    """`value`, when it is a string of `least` to `most` characters."""
    if not isinstance(value, str):
        raise Fault("must be a string", at)
    demand(len(value) >= least, f"must be more than {least - 1} characters", at)
    demand(len(value) <= most, f"must be less than {most + 1} characters", at)
    return value


def items(value: Any, least: int, most: int, at: str) -> list[Any]:
    """`value`, when it is a list of `least` to `most` items."""
    if not isinstance(value, list):
        raise Fault("must be an array", at)
    demand(least <= len(value), f"no less than {least} items required", at)
    demand(len(value) <= most, f"no more than {most} items allowed", at)
    return value


def text_object(value: Any, most: int, at: str, *, only: str | None = None) -> None:
    demand(isinstance(value, dict), "must be a text object", at)
    allowed = (only,) if only else ("plain_text", "mrkdwn")
    demand(value.get("type") in allowed, f"type must be {' or '.join(allowed)}", f"{at}/type")
    string(value.get("text"), most, f"{at}/text")


def check(element: Any, allowed: Sequence[str], at: str) -> None:
    """Check one element, which must be of one of the `allowed` types.

    Raises:
        Fault: naming the rule and the place.
    """
    demand(isinstance(element, dict), "must be an object", at)
    demand(element.get("type") in allowed, f"unsupported element: {element.get('type')}", at)
    string(element.get("action_id", "-"), 255, f"{at}/action_id")
    if "placeholder" in element:
        text_object(element["placeholder"], 150, f"{at}/placeholder", only="plain_text")
    if "confirm" in element:
        _confirm(element["confirm"], f"{at}/confirm")
    ELEMENTS[element["type"]](element, at)


def _button(element: Json, at: str) -> None:
    text_object(element.get("text"), 75, f"{at}/text", only="plain_text")
    string(element.get("value", "-"), 2000, f"{at}/value")
    string(element.get("url", "-"), 3000, f"{at}/url")
    demand(element.get("style", "primary") in ("primary", "danger"), "unsupported style", f"{at}/style")
    string(element.get("accessibility_label", "-"), 75, f"{at}/accessibility_label")


def _feedback_buttons(element: Json, at: str) -> None:
    for side in ("positive_button", "negative_button"):
        button = element.get(side)
        demand(isinstance(button, dict), "must be an object", f"{at}/{side}")
        text_object((button or {}).get("text"), 75, f"{at}/{side}/text", only="plain_text")
        string((button or {}).get("value"), 2000, f"{at}/{side}/value")
        string((button or {}).get("accessibility_label", "-"), 75, f"{at}/{side}/accessibility_label")


def _icon_button(element: Json, at: str) -> None:
    demand(element.get("icon") == "trash", "unsupported icon", f"{at}/icon")
    text_object(element.get("text"), 75, f"{at}/text", only="plain_text")
    string(element.get("value", "-"), 2000, f"{at}/value")


def _image(element: Json, at: str) -> None:
    demand("image_url" in element or "slack_file" in element, "needs image_url or slack_file", at)
    string(element.get("alt_text"), 2000, f"{at}/alt_text")


def _options(element: Json, at: str) -> None:
    if "option_groups" in element:
        for index, group in enumerate(items(element["option_groups"], 1, 100, f"{at}/option_groups")):
            text_object(group.get("label"), 75, f"{at}/option_groups/{index}/label", only="plain_text")
            _option_list(group.get("options"), 100, f"{at}/option_groups/{index}/options")
    else:
        _option_list(element.get("options"), 100, f"{at}/options")


def _few_options(most: int) -> Callable[[Json, str], None]:
    return lambda element, at: _option_list(element.get("options"), most, f"{at}/options")


def _option_list(options: Any, most: int, at: str) -> None:
    for index, option in enumerate(items(options, 1, most, at)):
        demand(isinstance(option, dict), "must be an object", f"{at}/{index}")
        text_object(option.get("text"), 75, f"{at}/{index}/text")
        string(option.get("value"), 150, f"{at}/{index}/value")


def _text_input(element: Json, at: str) -> None:
    string(element.get("initial_value", ""), 3000, f"{at}/initial_value", least=0)
    demand(0 < element.get("max_length", 3000) <= 3000, "must be 1 to 3000", f"{at}/max_length")


def _confirm(value: Any, at: str) -> None:
    demand(isinstance(value, dict), "must be an object", at)
    for part, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        text_object(value.get(part), most, f"{at}/{part}")


def _nothing_more(element: Json, at: str) -> None:
    """An element without limits of its own."""


SELECTS = (
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
)
PICKERS = ("datepicker", "timepicker", "datetimepicker")
ELEMENTS: dict[str, Callable[[Json, str], None]] = {
    **dict.fromkeys((*SELECTS, *PICKERS), _nothing_more),
    "button": _button,
    "checkboxes": _few_options(10),
    "email_text_input": _text_input,
    "feedback_buttons": _feedback_buttons,
    "icon_button": _icon_button,
    "image": _image,
    "multi_static_select": _options,
    "number_input": _nothing_more,
    "overflow": _few_options(5),
    "plain_text_input": _text_input,
    "radio_buttons": _few_options(10),
    "static_select": _options,
    "url_text_input": _text_input,
}
IN_ACTIONS = ("button", "checkboxes", "overflow", "radio_buttons", *PICKERS, *SELECTS)
IN_SECTION = (*IN_ACTIONS, "image")
IN_INPUT = (
    *SELECTS,
    *PICKERS,
    "checkboxes",
    "radio_buttons",
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
)
