"""Block Kit's rules: which blocks exist and how large they may be.

Limits are those of https://docs.slack.dev/reference/block-kit/blocks; a block that Slack would refuse raises
the error Slack answers, with the JSON pointer of the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app.playground.slack import elements
from app.playground.slack.elements import Fault, demand, items, string, text_object
from app.playground.slack.records import Json
from app.playground.slack.refusal import SlackRefusal

MOST_BLOCKS = 50
MOST_VIEW_BLOCKS = 100
MARKDOWN_CHARACTERS = 12_000
TABLE_CHARACTERS = 10_000
TASK_STATUSES = ("pending", "in_progress", "complete", "error")


def checked(
    blocks: Any, *, most: int = MOST_BLOCKS, too_many: str = "invalid_blocks", ids: Callable[[str], str]
) -> list[Json]:
    """The blocks with missing `block_id` and `action_id` filled in.

    Raises:
        SlackRefusal: `invalid_blocks_format` when it is no list of objects, `invalid_blocks` for a block
            that breaks a rule, `too_many` above `most` blocks, `msg_blocks_too_long` above 12,000 characters
            of markdown in all.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SlackRefusal("invalid_blocks_format")
    if len(blocks) > most:
        raise SlackRefusal(too_many, f"[ERROR] no more than {most} items allowed [json-pointer:/blocks]")
    for index, block in enumerate(blocks):
        _check(block, f"/blocks/{index}")
    _check_together(blocks)
    return [_with_ids(block, ids) for block in blocks]


def interactive_elements(blocks: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    """Every element with an `action_id`, beside the block it stands in."""
    for block in blocks:
        inside = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        for element in inside:
            if isinstance(element, dict) and "action_id" in element:
                yield block, element


def _check(block: Json, at: str) -> None:
    check = CHECKS.get(block.get("type", ""))
    try:
        if check is None:
            raise Fault(f"unsupported type: {block.get('type')}", at)
        string(block.get("block_id", "-"), 255, f"{at}/block_id")
        check(block, at)
    except Fault as fault:
        raise SlackRefusal("invalid_blocks", str(fault)) from None


def _check_together(blocks: Sequence[Json]) -> None:
    named = [block["block_id"] for block in blocks if "block_id" in block]
    if len(set(named)) != len(named):
        raise SlackRefusal("invalid_blocks", "[ERROR] block_id already exists [json-pointer:/blocks]")
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MARKDOWN_CHARACTERS:
        raise SlackRefusal("msg_blocks_too_long")
    for kind, most in (("table", 1), ("data_visualization", 2)):
        if sum(block["type"] == kind for block in blocks) > most:
            raise SlackRefusal("invalid_blocks", f"[ERROR] only {most} {kind} allowed [json-pointer:/blocks]")


def _with_ids(block: Json, ids: Callable[[str], str]) -> Json:
    filled = {"block_id": ids("")[:5]} | block
    for key in ("elements", "accessory", "element"):
        inside = filled.get(key)
        if block["type"] in ("actions", "context_actions", "section", "input"):
            if isinstance(inside, list):
                filled[key] = [{"action_id": ids("")[:5]} | element for element in inside]
            elif isinstance(inside, dict):
                filled[key] = {"action_id": ids("")[:5]} | inside
    return filled


def _section(block: Json, at: str) -> None:
    demand("text" in block or "fields" in block, "must have text or fields", at)
    if "text" in block:
        text_object(block["text"], 3000, f"{at}/text")
    for index, each in enumerate(items(block.get("fields", []), 0, 10, f"{at}/fields")):
        text_object(each, 2000, f"{at}/fields/{index}")
    if "accessory" in block:
        elements.check(block["accessory"], elements.IN_SECTION, f"{at}/accessory")


def _header(block: Json, at: str) -> None:
    text_object(block.get("text"), 150, f"{at}/text", only="plain_text")


def _context(block: Json, at: str) -> None:
    for index, element in enumerate(items(block.get("elements"), 1, 10, f"{at}/elements")):
        where = f"{at}/elements/{index}"
        if isinstance(element, dict) and element.get("type") == "image":
            elements.check(element, ("image",), where)
        else:
            text_object(element, 3000, where)


def _actions(block: Json, at: str) -> None:
    _elements(block, 25, elements.IN_ACTIONS, at)


def _context_actions(block: Json, at: str) -> None:
    _elements(block, 5, ("feedback_buttons", "icon_button"), at)


def _elements(block: Json, most: int, allowed: Sequence[str], at: str) -> None:
    inside = items(block.get("elements"), 1, most, f"{at}/elements")
    for index, element in enumerate(inside):
        elements.check(element, allowed, f"{at}/elements/{index}")
    named = [element["action_id"] for element in inside if "action_id" in element]
    demand(len(set(named)) == len(named), "action_id must be unique within the block", f"{at}/elements")


def _input(block: Json, at: str) -> None:
    text_object(block.get("label"), 2000, f"{at}/label", only="plain_text")
    elements.check(block.get("element"), elements.IN_INPUT, f"{at}/element")
    if "hint" in block:
        text_object(block["hint"], 2000, f"{at}/hint", only="plain_text")


def _image(block: Json, at: str) -> None:
    demand(("image_url" in block) != ("slack_file" in block), "needs image_url or slack_file", at)
    string(block.get("image_url", "https://"), 3000, f"{at}/image_url")
    string(block.get("alt_text"), 2000, f"{at}/alt_text")
    if "title" in block:
        text_object(block["title"], 2000, f"{at}/title", only="plain_text")


def _file(block: Json, at: str) -> None:
    demand(block.get("source") == "remote", "source must be remote", f"{at}/source")
    string(block.get("external_id"), 255, f"{at}/external_id")


def _markdown(block: Json, at: str) -> None:
    # Length is a matter of all markdown blocks together, and Slack has an error of its own for it.
    string(block.get("text"), 10**9, f"{at}/text")


def _table(block: Json, at: str) -> None:
    characters = 0
    for r, row in enumerate(items(block.get("rows"), 1, 100, f"{at}/rows")):
        for c, cell in enumerate(items(row, 1, 20, f"{at}/rows/{r}")):
            where = f"{at}/rows/{r}/{c}"
            demand(isinstance(cell, dict), "must be an object", where)
            demand(cell.get("type") in ("raw_text", "raw_number", "rich_text"), "unsupported type", where)
            if cell["type"] == "rich_text":
                _rich_text(cell, where)
            elif cell["type"] == "raw_text":
                characters += len(string(cell.get("text"), TABLE_CHARACTERS, f"{where}/text"))
    demand(characters <= TABLE_CHARACTERS, f"no more than {TABLE_CHARACTERS} characters", f"{at}/rows")
    items(block.get("column_settings", []), 0, 20, f"{at}/column_settings")


def _rich_text(block: Json, at: str) -> None:
    kinds = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
    for index, element in enumerate(items(block.get("elements"), 1, 1000, f"{at}/elements")):
        where = f"{at}/elements/{index}"
        demand(isinstance(element, dict) and element.get("type") in kinds, "unsupported type", where)
        items(element.get("elements"), 0, 1000, f"{where}/elements")


def _plan(block: Json, at: str) -> None:
    string(block.get("title"), 256, f"{at}/title")
    for index, task in enumerate(items(block.get("tasks", []), 0, 50, f"{at}/tasks")):
        demand(isinstance(task, dict), "must be an object", f"{at}/tasks/{index}")
        _task_card(task, f"{at}/tasks/{index}")


def _task_card(block: Json, at: str) -> None:
    string(block.get("task_id"), 255, f"{at}/task_id")
    string(block.get("title"), 256, f"{at}/title")
    demand(block.get("status", "pending") in TASK_STATUSES, "unsupported status", f"{at}/status")
    for part in ("details", "output"):
        if part in block:
            demand(isinstance(block[part], dict), "must be rich_text", f"{at}/{part}")
            demand(block[part].get("type") == "rich_text", "must be rich_text", f"{at}/{part}")
            _rich_text(block[part], f"{at}/{part}")
    for index, source in enumerate(items(block.get("sources", []), 0, 50, f"{at}/sources")):
        url_source(source, f"{at}/sources/{index}")


def url_source(source: Any, at: str) -> None:
    """One `{"type": "url", "url": …, "text": …}` of a task's sources."""
    demand(isinstance(source, dict) and source.get("type") == "url", "must be a url source", at)
    string(source.get("url"), 3000, f"{at}/url")
    string(source.get("text"), 3000, f"{at}/text")


def _data_visualization(block: Json, at: str) -> None:
    string(block.get("title"), 50, f"{at}/title")
    chart = block.get("chart")
    demand(isinstance(chart, dict), "must be an object", f"{at}/chart")
    assert isinstance(chart, dict)
    if chart.get("type") == "pie":
        for index, segment in enumerate(items(chart.get("segments"), 1, 6, f"{at}/chart/segments")):
            _point(segment, f"{at}/chart/segments/{index}")
        return
    demand(chart.get("type") in ("line", "bar", "area"), "unsupported chart", f"{at}/chart/type")
    axes = chart.get("axis_config")
    demand(isinstance(axes, dict), "must be an object", f"{at}/chart/axis_config")
    categories = items((axes or {}).get("categories"), 1, 1000, f"{at}/chart/axis_config/categories")
    for index, name in enumerate(categories):
        string(name, 20, f"{at}/chart/axis_config/categories/{index}")
    for index, series in enumerate(items(chart.get("series"), 1, 6, f"{at}/chart/series")):
        where = f"{at}/chart/series/{index}"
        demand(isinstance(series, dict), "must be an object", where)
        string(series.get("name"), 50, f"{where}/name")
        points = items(series.get("data"), 1, 1000, f"{where}/data")
        for p, point in enumerate(points):
            _point(point, f"{where}/data/{p}")
        demand({p["label"] for p in points} <= set(categories), "label is no category", f"{where}/data")


def _point(point: Any, at: str) -> None:
    demand(isinstance(point, dict), "must be an object", at)
    string(point.get("label"), 20, f"{at}/label")
    number = point.get("value")
    demand(
        isinstance(number, int | float) and not isinstance(number, bool), "must be a number", f"{at}/value"
    )


def _divider(block: Json, at: str) -> None:
    demand(set(block) <= {"type", "block_id"}, "has no such field", at)


CHECKS: dict[str, Callable[[Json, str], None]] = {
    "actions": _actions,
    "context": _context,
    "context_actions": _context_actions,
    "data_visualization": _data_visualization,
    "divider": _divider,
    "file": _file,
    "header": _header,
    "image": _image,
    "input": _input,
    "markdown": _markdown,
    "plan": _plan,
    "rich_text": _rich_text,
    "section": _section,
    "table": _table,
    "task_card": _task_card,
}
