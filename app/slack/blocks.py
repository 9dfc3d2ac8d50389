"""Block Kit of our messages, as plain dicts within Slack's limits.

Limits: https://docs.slack.dev/reference/block-kit — 50 blocks a message, 10 elements in a context block,
3000 characters in a text, 75 in a button's text, 2000 in its value, 12,000 over all markdown blocks; no text
may be empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.agent.phrases import Phrases
from app.context.models import Source
from app.conversations.reply import TaskStatus
from app.frozen import Frozen
from app.slack.text import markdown, mrkdwn, plain

Block = dict[str, Any]

MOST_BLOCKS = 50
MOST_ELEMENTS = 10
MOST_SOURCES = 10
LONGEST_TEXT = 3000
LONGEST_MARKDOWN = 12_000
LONGEST_BUTTON = 75
LONGEST_VALUE = 2000
LONGEST_TASK_FIELD = 256
LONGEST_LABEL = 80
LONGEST_NOTICE = 1000
LONGEST_FALLBACK = 300

ENGLISH = Phrases()

MOST_CHOICES = 5
"""More are a menu."""
MOST_OPTIONS = 100

CHOOSE = "choose"
"""How the action ids of offers begin; the value is the turn's id, a colon, and the offer's number."""
FEEDBACK = "feedback"
"""The action id of the two feedback buttons; the value is `up:` or `down:` and the turn's id."""


class Task(Frozen):
    """One step of a turn as its plan shows it: usually one tool call."""

    id: str
    title: str
    status: TaskStatus = "in_progress"
    details: str = ""
    sources: tuple[Source, ...] = ()


# -- answers ---------------------------------------------------------------------------------------------


def answer_blocks(
    *,
    turn_id: str,
    confidence: float | None = None,
    sources: Sequence[Source] = (),
    notices: Sequence[str] = (),
    sre_team_id: str | None = None,
    offline_reason: str | None = None,
    knowledge_revision: str | None = None,
    words: Phrases = ENGLISH,
    offers: Sequence[str] = (),
) -> list[Block]:
    """What stands under an answer: offers, notices, the SRE team, how sure it is, sources, feedback.

    `sre_team_id` is given only when the team is to be tagged, and only ever comes from the settings.
    """
    footer = [
        said
        for said in (
            _sureness(confidence, words),
            _offline(offline_reason, words),
            _revision(knowledge_revision),
        )
        if said
    ]
    listed = _sources(sources, words)
    return [
        *choices(turn_id, offers),
        *(
            context(f":information_source: {mrkdwn(plain(notice, LONGEST_NOTICE))}")
            for notice in list(notices)[:5]
            if notice.strip()
        ),
        *([sre_tag(sre_team_id, words.say("unsure"))] if sre_team_id else []),
        *([context(*footer)] if footer else []),
        *([context(listed)] if listed else []),
        feedback(turn_id),
    ]


def choices(turn_id: str, offers: Sequence[str]) -> list[Block]:
    """A button each, or a menu where they are many; the value says which of which turn's it is."""
    named = [plain(label, LONGEST_BUTTON) or "-" for label in offers[:MOST_OPTIONS]]
    if not named:
        return []
    words = [{"type": "plain_text", "text": label, "emoji": False} for label in named]
    values = [f"{turn_id}:{number}" for number in range(len(named))]
    if len(named) <= MOST_CHOICES:
        buttons = [
            {"type": "button", "action_id": f"{CHOOSE}_{number}", "text": text, "value": value}
            for number, (text, value) in enumerate(zip(words, values, strict=True))
        ]
        return [{"type": "actions", "elements": buttons}]
    menu = {
        "type": "static_select",
        "action_id": f"{CHOOSE}_menu",
        "placeholder": {"type": "plain_text", "text": "Choose", "emoji": False},
        "options": [{"text": text, "value": value} for text, value in zip(words, values, strict=True)],
    }
    return [{"type": "actions", "elements": [menu]}]


def error_blocks(sentence: str, trace_id: str) -> list[Block]:
    """What a turn that finally failed says: the sentence, and the id under which its traces are found."""
    return [
        section(f":x: {mrkdwn(plain(sentence, LONGEST_NOTICE))}"),
        context(f"Trace `{_code(trace_id)}`" if trace_id else "-"),
    ]


def feedback(turn_id: str) -> Block:
    """The two feedback buttons of an answer."""
    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": FEEDBACK,
                "positive_button": _button("Good answer", f"up:{turn_id}", "This answer helped"),
                "negative_button": _button("Bad answer", f"down:{turn_id}", "This answer did not help"),
            }
        ],
    }


def sre_tag(team_id: str, words: str) -> Block:
    """The one ping this program sends: the user group of the settings. `words` are ours."""
    if not re.fullmatch(r"S[A-Z0-9]+", team_id):
        raise ValueError("the SRE team is a user group's id, such as S0123ABCD")
    return section(f"<!subteam^{team_id}> {words}")


def _sureness(confidence: float | None, words: Phrases) -> str:
    if confidence is None:
        return ""
    share = min(max(confidence, 0.0), 1.0)
    phrase = next(named for least, named in _SURENESS if share >= least)
    return words.say(phrase, share=f"{share:.0%}")


_SURENESS = ((0.85, "high_confidence"), (0.6, "medium_confidence"), (0.0, "low_confidence"))


def _offline(reason: str | None, words: Phrases) -> str:
    if reason is None:
        return ""
    said = words.say("no_model_because", reason=mrkdwn(plain(reason, LONGEST_FALLBACK)))
    return f":electric_plug: {said}"


def _revision(revision: str | None) -> str:
    return f"knowledge `{_code(revision[:12])}`" if revision else ""


def _sources(sources: Sequence[Source], words: Phrases) -> str:
    shown = [_link(source) for source in sources[:MOST_SOURCES]]
    more = len(sources) - len(shown)
    rest = [words.say("more", number=more)] if more > 0 else []
    return words.say("sources", sources=" · ".join([*shown, *rest])) if shown else ""


def _link(source: Source) -> str:
    label = mrkdwn(plain(source.title, LONGEST_LABEL)).replace("|", "¦")
    if not source.url or not re.fullmatch(r"https?://[^\s<>|]+", source.url) or len(source.url) > 600:
        return label
    return f"<{source.url.replace('&', '&amp;')}|{label}>"


def _code(value: str) -> str:
    return mrkdwn(value.replace("`", "'"))


# -- shapes ----------------------------------------------------------------------------------------------


def section(text: str) -> Block:
    """A paragraph of mrkdwn that is already escaped."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text)}}


def context(*texts: str) -> Block:
    """A line of small print of at most 10 pieces of mrkdwn that are already escaped."""
    elements = [{"type": "mrkdwn", "text": _cut(text)} for text in texts[:MOST_ELEMENTS]]
    return {"type": "context", "elements": elements or [{"type": "mrkdwn", "text": "-"}]}


def markdown_block(body: str) -> Block:
    """A block of markdown, escaped here."""
    return {"type": "markdown", "text": markdown(body) if body.strip() else "-"}


def plan(title: str, tasks: Iterable[Task]) -> Block:
    """The plan a stream shows, as a block for messages that are edited instead of streamed."""
    return {
        "type": "plan",
        "title": plain(title, LONGEST_TASK_FIELD),
        "tasks": [_card(task) for task in list(tasks)[-MOST_BLOCKS:]],
    }


def task_update(task: Task) -> Block:
    """The same task as a chunk of a stream."""
    chunk: Block = {
        "type": "task_update",
        "id": task.id,
        "title": plain(task.title, LONGEST_TASK_FIELD),
        "status": task.status,
    }
    if task.details:
        chunk["details"] = plain(task.details, LONGEST_TASK_FIELD)
    if task.sources:
        chunk["sources"] = _url_sources(task.sources)
    return chunk


def fallback(body: str) -> str:
    """The text of a message for notifications and readers of the screen, from its markdown."""
    return mrkdwn(plain(body, LONGEST_FALLBACK))


def _card(task: Task) -> Block:
    card: Block = {
        "type": "task_card",
        "task_id": task.id,
        "title": plain(task.title, LONGEST_TASK_FIELD),
        "status": task.status,
    }
    if task.details:
        said = {"type": "text", "text": plain(task.details, LONGEST_TASK_FIELD)}
        card["details"] = {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": [said]}],
        }
    if task.sources:
        card["sources"] = _url_sources(task.sources)
    return card


def _url_sources(sources: Sequence[Source]) -> list[Block]:
    linked = [source for source in sources if source.url][:MOST_SOURCES]
    return [
        {"type": "url", "url": source.url, "text": plain(source.title, LONGEST_LABEL)} for source in linked
    ]


def _button(text: str, value: str, label: str) -> Block:
    return {
        "text": {"type": "plain_text", "text": text[:LONGEST_BUTTON]},
        "value": value[:LONGEST_VALUE],
        "accessibility_label": label,
    }


def _cut(text: str) -> str:
    """Within the limit of a text object; an entity or a link at the cut is left out whole."""
    if len(text) <= LONGEST_TEXT:
        return text if text.strip() else "-"
    return re.sub(r"(?:&\w{0,4}|<[^<>]*)$", "", text[: LONGEST_TEXT - 1]) + "…"


# -- limits ----------------------------------------------------------------------------------------------


def problems(blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    """What Slack would refuse in these blocks, a sentence each; nothing when it would take them."""
    found = [f"{len(blocks)} blocks, at most {MOST_BLOCKS}"] if len(blocks) > MOST_BLOCKS else []
    written = sum(len(block.get("text", "")) for block in blocks if block.get("type") == "markdown")
    if written > LONGEST_MARKDOWN:
        found.append(f"{written} characters of markdown, at most {LONGEST_MARKDOWN}")
    for at, block in enumerate(blocks):
        found += [f"block {at}: {said}" for said in _problems_of(block)]
    return found


def _problems_of(block: Mapping[str, Any]) -> Iterable[str]:
    elements = block.get("elements", [])
    if block.get("type") == "context" and not 1 <= len(elements) <= MOST_ELEMENTS:
        yield f"{len(elements)} elements, 1 to {MOST_ELEMENTS}"
    if block.get("type") == "plan" and len(block.get("tasks", [])) > MOST_BLOCKS:
        yield f"{len(block['tasks'])} tasks, at most {MOST_BLOCKS}"
    texts = [block.get("text")] + [element.get("text") for element in elements]
    for text in texts:
        said = text.get("text", "") if isinstance(text, Mapping) else text
        if said is None:
            continue
        if not said.strip():
            yield "an empty text"
        if len(said) > LONGEST_TEXT and block.get("type") != "markdown":
            yield f"a text of {len(said)} characters, at most {LONGEST_TEXT}"
