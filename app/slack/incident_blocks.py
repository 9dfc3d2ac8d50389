"""An investigation in Block Kit: the thread's headline, the two briefs, a failure, and their buttons. Pure.

A brief is read at two in the morning, so it says first what to do, then what is happening, then the rest.
All limits hold by construction: every group is one section, whose lines are cut and whose rest is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from app.investigations.brief import Brief, Confidence
from app.investigations.evidence import Cause, Finding, Ranking
from app.investigations.models import IncidentStatus
from app.investigations.surface import Button, Footer, Headline, HeadlineState, Member, Storm, Told
from app.slack.blocks import Block, sre_tag
from app.slack.incident_words import (
    LONGEST_NAME,
    LONGEST_SECTION,
    NOTHING,
    cited,
    header,
    hosts_of,
    joined,
    link,
    links,
    paragraph,
    reference,
    said,
    small_print,
    text,
)

STATES: dict[HeadlineState, tuple[str, str]] = {
    "investigating": ("🔴", "investigating"),
    "evidence": ("🟠", "evidence brief ready"),
    "evidence_only": ("🟠", "evidence only"),
    "diagnosed": ("🔎", "diagnosed"),
    "failed": ("⚠️", "diagnosis failed"),
    "resolved": ("☑️", "resolved"),
    "closed": ("☑️", "closed: nothing is heard of it any more"),
}
URGENCY = {"act now": "🔴 Act now", "act today": "🟠 Act today", "watch": "⚪ Watch"}
RECURRENCE = {"new": "New", "recurring": "Recurring", "unknown": "Not known"}
CONFIDENCE: dict[Confidence, str] = {
    "high": "High confidence",
    "medium": "Medium confidence",
    "low": "Low confidence",
}
TAGGED = "please have a look at this incident."
USER_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
MOST_LINES = 12
MOST_CALLED = 5
MOST_MEMBERS = 15
LONGEST_REASON = 120
STANDING: dict[IncidentStatus, str] = {"open": "", "acknowledged": "👤", "resolved": "☑️"}
MOST_CAUSES = 3
MOST_REASONS = 3
MOST_SHOWN = 8
"""Findings listed in a brief; all of them are in the attached file."""

Shown = tuple[str, list[Block]]
"""What a message says in a notification, and its blocks."""


# -- the thread ------------------------------------------------------------------------------------------


def headline(given: Headline) -> Shown:
    sign, state = STATES[given.state]
    title = _title(given.severity, given.service, given.title)
    partly = [f"{given.over} of {given.incidents} over"] if 0 < given.over < given.incidents else []
    facts = [
        f"*{state.capitalize()}*",
        *partly,
        *([f"since {_clock(given.started_at)}"] if given.started_at is not None else []),
        *([f"from {link(given.source or 'its source', given.link.url)}"] if given.link else []),
        *([f"from {said(given.source, LONGEST_NAME)}"] if given.source and not given.link else []),
        *([f"on call: {said(given.on_call, LONGEST_NAME)}"] if given.on_call else []),
    ]
    blocks = [header(f"{sign} {title}"), small_print(" · ".join(facts))]
    blocks += [paragraph(said(given.said), expand=True)] if given.said.strip() else []
    blocks += [_storm(given.storm, given.incidents)] if given.storm else []
    return f"{sign} {said(title, 200)}: {', '.join([state, *partly])}", blocks


def _title(severity: str | None, service: str | None, title: str) -> str:
    named = [severity] if severity else []
    named += [service] if service and service.lower() not in title.lower() else []
    return f"{' · '.join(named)}: {title}" if named else title


def _storm(storm: Storm, incidents: int) -> Block:
    """As many as there is room for, the gravest that burn first; of the rest, how many and why. A reason that
    all share is said once. Lines without links are better than fewer lines."""
    reasons = {because: many for because, many in storm.reasons.items() if because.strip()}
    shared = next(iter(reasons)) if len(reasons) == 1 else None
    head = f"*{incidents} incidents*, grouped because" + (f" {said(shared)}:" if shared else ":")
    members = sorted(storm.members, key=_gravest_first)[:MOST_MEMBERS]
    while True:
        rest = incidents - len(members)
        lines = [head, *(f"• {_member(member, told=shared)}" for member in members)]
        lines += [_rest(rest, members, {} if shared else reasons)] if rest > 0 else []
        if len("\n".join(lines)) <= LONGEST_SECTION or not members:
            return paragraph(*lines, expand=True)
        members = _shorter(members)


def _shorter(members: list[Member]) -> list[Member]:
    linked = [place for place, member in enumerate(members) if member.link]
    if not linked:
        return members[:-1]
    *before, last = members[: linked[-1] + 1]
    return [*before, replace(last, link=None), *members[linked[-1] + 1 :]]


def _gravest_first(member: Member) -> tuple[bool, str, str]:
    return member.status == "resolved", member.severity or "P9", member.service or ""


def _member(member: Member, *, told: str | None) -> str:
    title = _title(None, member.service, member.title)
    named = link(title, member.link.url) if member.link else said(title, LONGEST_NAME)
    because = f": {said(member.because, LONGEST_REASON)}" if member.because.strip() and not told else ""
    words = f"{named}{because}"
    words = f"*{member.severity}* {words}" if member.severity else words
    return f"{STANDING[member.status]} {words}".strip()


def _rest(many: int, members: Sequence[Member], reasons: Mapping[str, int]) -> str:
    left = Counter(reasons) - Counter(member.because for member in members)
    named = [f"{count} because {said(why, LONGEST_REASON)}" for why, count in left.most_common(MOST_REASONS)]
    others = sum(left.values()) - sum(count for _, count in left.most_common(MOST_REASONS))
    named += [f"{others} for other reasons"] if others else []
    return f"… and {many} more" + (f": {'; '.join(named)}" if named else "")


# -- briefs ----------------------------------------------------------------------------------------------


def evidence_brief(told: Told, investigation_id: UUID, hosts: frozenset[str]) -> Shown:
    """What the evidence core found without a model."""
    pages = links(told.findings)
    brief = told.brief
    blocks = [
        header(f"🟠 {brief.headline}"),
        *_first(brief, _known(told, hosts), pages),
        _cause(brief, pages),
        *([_candidates(told.ranking, pages)] if told.ranking else []),
        _history(brief, _known(told, hosts), pages),
        _evidence(told, pages),
        *([_options(brief)] if brief.options else []),
        *_gaps(brief),
        *([small_print(f"⏳ {said(told.waits_for)}")] if told.waits_for else []),
        *buttons(investigation_id, told.buttons),
        *_footer(told.footer),
    ]
    return f"Evidence brief: {said(brief.headline, 200)}", blocks


def final_brief(told: Told, investigation_id: UUID, hosts: frozenset[str]) -> Shown:
    """What it came to: a diagnosis is only what a model concluded."""
    if told.failure:
        return _without_conclusion(told, investigation_id, hosts)
    return (_diagnosis if told.brief.model else _evidence_alone)(told, investigation_id, hosts)


def _without_conclusion(told: Told, investigation_id: UUID, hosts: frozenset[str]) -> Shown:
    """A model was to conclude and did not: said first, then what is known without it."""
    why = said(told.failure.rstrip(". "))
    line = f"⚠️ No model concluded: {why}. What follows is the evidence brief."
    _, blocks = evidence_brief(told, investigation_id, hosts)
    return (
        f"{line} {said(told.brief.headline, 200)}",
        [paragraph(line, expand=True), *_called(told), *blocks],
    )


NO_MODEL = "No model is configured: this is what the evidence alone says."


def _evidence_alone(told: Told, investigation_id: UUID, hosts: frozenset[str]) -> Shown:
    """Nothing was asked since the evidence brief, so it is not repeated: its conclusion in short, and the
    question whether it was right."""
    brief, pages = told.brief, links(told.findings)
    first = cited(brief.next_steps[0], pages, limit=300) if brief.next_steps else NOTHING
    blocks = [
        paragraph(f"*{NO_MODEL}*"),
        *_called(told),
        _cause(brief, pages),
        paragraph(f"*Look at first*\n{first}"),
        small_print(
            "The rest is in the evidence brief above. Once you know what it was, say whether this was right."
        ),
        *buttons(investigation_id, told.buttons),
        *_footer(told.footer),
    ]
    return f"{NO_MODEL} {said(brief.headline, 200)}", blocks


def _diagnosis(told: Told, investigation_id: UUID, hosts: frozenset[str]) -> Shown:
    pages = links(told.findings)
    brief = told.brief
    known = _known(told, hosts)
    sign = "❔" if brief.confidence_level == "low" else "🔎"
    blocks = [
        *_called(told),
        header(f"{sign} {brief.headline}"),
        *_first(brief, known, pages),
        _cause(brief, pages),
        _history(brief, known, pages),
        {"type": "divider"},
        _ruled_out(brief, pages),
        _options(brief),
        _evidence(told, pages),
        *_gaps(brief),
        *buttons(investigation_id, told.buttons),
        *_footer(told.footer),
    ]
    step = f" Next: {said(brief.next_steps[0], 120)}" if brief.next_steps else ""
    return f"{sign} {said(brief.headline, 160)}.{step}", blocks


def failed(
    reason: str, trace_id: str, investigation_id: UUID, offered: Sequence[Button], *, stands: bool = False
) -> Shown:
    """With `stands` it was a deeper look, and what was concluded before it stands."""
    why = said(reason)
    what, left = ("deeper look", "diagnosis") if stands else ("diagnosis", "evidence brief")
    blocks = [
        paragraph(f"⚠️ *The {what} failed.* The {left} above stands.", f"Reason: {why}", expand=True),
        *buttons(investigation_id, offered),
        *([small_print(f"Trace `{said(trace_id.replace('`', ''), LONGEST_NAME)}`")] if trace_id else []),
    ]
    return f"⚠️ The {what} failed: {why}", blocks


def note(sentence: str, team_id: str | None = None) -> Shown:
    """`team_id` is the user group to be tagged; it only ever comes from the settings."""
    line = said(sentence)
    tag = [sre_tag(team_id, TAGGED)] if team_id else []
    return line, [small_print(f"ℹ️ {line}" if line[:1].isalnum() else line), *tag]


def _known(told: Told, hosts: frozenset[str]) -> frozenset[str]:
    """The hosts a reference may lead to: the catalog's, and those of the evidence."""
    return hosts | hosts_of(finding.link for finding in told.findings)


def _called(told: Told) -> list[Block]:
    """Whoever is on call, by a mention of ours; by their plain name when Slack does not know them."""
    mentions = [person(each) for each in told.on_call_ids[:MOST_CALLED] if USER_ID.fullmatch(each)]
    if mentions:
        return [paragraph(f"{' '.join(mentions)} you are on call; this is what I found.")]
    return [paragraph(f"On call: {said(told.on_call, LONGEST_NAME)}")] if told.on_call.strip() else []


def person(user_id: str) -> str:
    """A mention of one person, and of nothing else."""
    return f"<@{user_id}>" if USER_ID.fullmatch(user_id) else "Somebody"


def _first(brief: Brief, hosts: frozenset[str], pages: dict[str, str]) -> list[Block]:
    """What to do, then what is happening."""
    steps = [f"{n}. {cited(step, pages, limit=300)}" for n, step in enumerate(brief.next_steps, 1)]
    runbooks = joined([reference(each, hosts) for each in brief.runbooks], 4)
    return [
        paragraph(
            f"*What do I do right now?*  {URGENCY[brief.urgency]}",
            *(steps or [NOTHING]),
            f"📖 {runbooks}",
            expand=True,
        ),
        paragraph(
            "*What is happening?*", cited(brief.impact.text, pages, brief.impact.evidence), expand=True
        ),
        {
            "type": "section",
            "fields": [
                text(f"*Since*\n{cited(brief.since, pages, limit=200)}"),
                text(f"*Status*\n{brief.status.capitalize()}"),
                text(f"*New or recurring*\n{RECURRENCE[brief.recurrence]}"),
            ],
        },
    ]


def _cause(brief: Brief, pages: dict[str, str]) -> Block:
    sure = f"{CONFIDENCE[brief.confidence_level]} ({brief.confidence:.0%})"
    return paragraph(
        f"*Likely cause* · {sure}",
        cited(brief.likely_cause.text, pages, brief.likely_cause.evidence),
        expand=True,
    )


VERDICTS = {
    "cause": "*Candidates*, ranked without a model",
    "none_of_the_changes": "*Candidates*, ranked without a model: none of the changes explains the onset",
    "unknown": "*Candidates*, ranked without a model: none stands out, the cause is not known",
}


def _candidates(ranking: Ranking, pages: dict[str, str]) -> Block:
    lines = [VERDICTS[ranking.verdict]]
    for n, cause in enumerate(ranking.causes[:MOST_CAUSES], 1):
        lines += _candidate(n, cause, pages)
    return paragraph(*lines, *([] if ranking.causes else [NOTHING]))


def _candidate(number: int, cause: Cause, pages: dict[str, str]) -> list[str]:
    score = f" ({min(max(cause.score, 0), 1):.0%})" if cause.score == cause.score else ""
    by_weight = [
        (side, sorted(reasons, key=lambda reason: -abs(reason.weight))[:MOST_REASONS])
        for side, reasons in (("for", cause.reasons_for), ("against", cause.reasons_against))
    ]
    reasons = [
        f"      _{side}:_ {cited(reason.text, pages, limit=200)}"
        for side, some in by_weight
        for reason in some
    ]
    return [f"{number}. {cited(cause.statement, pages, limit=250)}{score}", *reasons]


def _history(brief: Brief, hosts: frozenset[str], pages: dict[str, str]) -> Block:
    return paragraph(
        f"*Has it happened before?* {_past(brief, pages)}",
        f"*Open tickets:* {joined([reference(each, hosts) for each in brief.tickets], 6)}",
        f"*Follow-up:* {cited(brief.follow_up, pages, limit=300)}",
        expand=True,
    )


def _past(brief: Brief, pages: dict[str, str]) -> str:
    before = brief.before
    if not before.happened and brief.recurrence == "unknown":
        return "Could not be looked up"
    if not before.happened:
        return "Not that I know of" if not before.pattern.strip() else cited(before.pattern, pages, limit=300)
    dates = joined([said(date, 30) for date in before.dates], 6) if before.dates else "dates not known"
    pattern = f"; {cited(before.pattern, pages, limit=300)}" if before.pattern.strip() else ""
    return f"Yes: {dates}{pattern}"


def _ruled_out(brief: Brief, pages: dict[str, str]) -> Block:
    lines = [
        f"• {cited(each.cause, pages, limit=200)}: {cited(each.why, pages, limit=250)}"
        for each in brief.alternatives[:MOST_LINES]
    ]
    return paragraph("*Ruled out*", *(lines or [NOTHING]))


def _options(brief: Brief) -> Block:
    lines = [f"{n}. {said(option, 250)}" for n, option in enumerate(brief.options[:MOST_LINES], 1)]
    return paragraph("*Options for a human*, safest first", *(lines or [NOTHING]))


def _evidence(told: Told, pages: dict[str, str]) -> Block:
    shown, left = listed(told)
    lines = [_finding(finding, pages) for finding in shown]
    more = f" · {left} more in the attached file" if left else ""
    return paragraph(f"*Evidence*{more}", *(lines or [NOTHING]))


def listed(told: Told) -> tuple[list[Finding], int]:
    """The findings a brief lists, those it cites first, and how many are left to the attached file."""
    brief = told.brief
    named = {*brief.evidence, *brief.likely_cause.evidence, *brief.impact.evidence}
    ordered = sorted(told.findings, key=lambda finding: finding.label not in named)
    return ordered[:MOST_SHOWN], max(0, len(ordered) - MOST_SHOWN)


def _finding(finding: Finding, pages: dict[str, str]) -> str:
    return (
        f"{cited(finding.label, pages, limit=8)} {said(finding.statement, 250)} · {said(finding.source, 40)}"
    )


def _gaps(brief: Brief) -> list[Block]:
    if not brief.gaps:
        return []
    gaps = joined([said(gap, 150) for gap in brief.gaps], MOST_LINES, "; ", room=2500)
    return [small_print(f"🕳️ Could not be looked at: {gaps}")]


def _footer(footer: Footer | None) -> list[Block]:
    if footer is None:
        return []
    parts = [f"⏱️ {footer.seconds:.0f} s", said(footer.model, LONGEST_NAME) if footer.model else "no model"]
    if footer.turns or footer.tokens:
        parts += [_count(footer.turns, "turn")]
    parts += [_count(footer.tool_calls, "tool call")]
    parts += [f"{footer.tokens:,} tokens"] if footer.tokens else []
    parts += [f"${footer.usd:.4f}"] if footer.usd is not None else []
    return [small_print(" · ".join(parts))]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M} UTC"


# -- buttons ---------------------------------------------------------------------------------------------

ACTIONS: dict[Button, str] = {
    "correct": "✅ Correct",
    "wrong": "❌ Wrong",
    "dig_deeper": "🔎 Dig deeper",
    "escalate": "📟 Escalate",
    "acknowledge": "🙋 Acknowledge",
}
PREFIX = "incident_"
"""What the action ids of these buttons begin with."""
BUTTONS_ID = "incident_buttons"
TOGETHER: dict[Button, frozenset[str]] = {
    "correct": frozenset({"incident_correct", "incident_wrong"}),
    "wrong": frozenset({"incident_correct", "incident_wrong"}),
}
"""Buttons that are gone when one of them was pressed."""


def buttons(investigation_id: UUID, offered: Sequence[Button]) -> list[Block]:
    """The row of buttons; the value of each is the investigation's id and nothing else."""
    if not offered:
        return []
    made = [_button(name, investigation_id) for name in dict.fromkeys(offered)]
    return [{"type": "actions", "block_id": BUTTONS_ID, "elements": made}]


def _button(name: Button, investigation_id: UUID) -> Block:
    made: Block = {
        "type": "button",
        "action_id": PREFIX + name,
        "value": str(investigation_id),
        "text": {"type": "plain_text", "text": ACTIONS[name], "emoji": True},
    }
    return made | ({"confirm": ESCALATION} if name == "escalate" else {})


ESCALATION: Block = {
    "title": {"type": "plain_text", "text": "Escalate this incident?"},
    "text": {"type": "plain_text", "text": "The next people of the escalation policy are paged."},
    "confirm": {"type": "plain_text", "text": "Escalate"},
    "deny": {"type": "plain_text", "text": "Not now"},
}


def pressed(blocks: Sequence[Block], button: Button, by: str, words: str) -> list[Block]:
    """The blocks of a message after a press: who did what stands where the button was."""
    gone = TOGETHER.get(button, frozenset({PREFIX + button}))
    line = small_print(f"{ACTIONS[button].split()[0]} {person(by)} {said(words, 300)}")
    made: list[Block] = []
    for block in blocks:
        if block.get("block_id") != BUTTONS_ID:
            made.append(block)
            continue
        left = [element for element in block["elements"] if element.get("action_id") not in gone]
        made += [line] if len(left) < len(block["elements"]) else []
        made += [block | {"elements": left}] if left else []
    return made


# -- the question for the real cause ---------------------------------------------------------------------

CAUSE_VIEW = "incident_cause"
CAUSE_FIELD = "cause"
LONGEST_CAUSE = 2000


def cause_view(remembered: str) -> Block:
    """The modal behind “wrong”; `remembered` comes back with its submission (at most 3000 characters)."""
    return {
        "type": "modal",
        "callback_id": CAUSE_VIEW,
        "private_metadata": remembered,
        "title": {"type": "plain_text", "text": "What was it really?"},
        "submit": {"type": "plain_text", "text": "Save"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": [
            paragraph("Your answer is kept beside the brief, and counts in how often the agent is right."),
            {
                "type": "input",
                "block_id": CAUSE_FIELD,
                "optional": True,
                "label": {"type": "plain_text", "text": "The real cause"},
                "hint": {"type": "plain_text", "text": "Leave it empty if nobody knows yet."},
                "element": {
                    "type": "plain_text_input",
                    "action_id": CAUSE_FIELD,
                    "multiline": True,
                    "max_length": LONGEST_CAUSE,
                    "placeholder": {
                        "type": "plain_text",
                        "text": "The pool of payments-db was exhausted by the nightly export",
                    },
                },
            },
        ],
    }
