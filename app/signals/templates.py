"""Log templates: what kinds of lines there are, and which of them are new or rising.

Grouping is Drain's (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017), one
tree for each service and level. Only words with a digit are masked beforehand: a full set of masks made it
three times slower and grouped no better.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.signals.models import LogLine

MOST_TEXTS = 5_000
"""Different texts that are grouped; beyond it the rarest ones that begin alike are sampled."""
MOST_CHARACTERS = 400
RISING = 3.0
LEAST_RISING = 3
PLACEHOLDER = "<*>"
# From a word's beginning alone: words without a digit would be tried once for each of their letters.
WITH_DIGIT = re.compile(r"(?<![\w.:/@%+-])[\w.:/@%+-]*\d[\w.:/@%+-]*")


@dataclass(frozen=True)
class Template:
    """One kind of line: `text` with `<*>` where lines differ, `count` of all, `before` and `after` the split.

    `is_new` means seen after the split alone, although lines were collected before it; `rising` that its
    rate after is at least three times the rate before. Without a split `before` is 0 and both are False.
    """

    text: str
    count: int
    before: int
    after: int
    is_new: bool
    rising: bool
    example: str
    first_at: float
    service: str | None
    level: str


def templates(
    lines: Sequence[LogLine], split_at: float | None = None, *, most: int | None = None
) -> tuple[Template, ...]:
    """Group `lines`; new and rising templates come first, then by count.

    `split_at` (seconds since the epoch) parts the time before a change from the time after it.
    """
    ordered = sorted(lines, key=lambda line: (line.at, line.service or "", line.level, line.text))
    if not ordered:
        return ()
    groups: defaultdict[tuple[str | None, str], list[LogLine]] = defaultdict(list)
    for line in ordered:
        groups[line.service, line.level].append(line)
    spans = _Spans.around(ordered[0].at, split_at, ordered[-1].at)
    found = [
        _template(service, level, text, members, spans)
        for (service, level), group in groups.items()
        for text, members in _grouped(group, MOST_TEXTS // len(groups) + 1)
    ]
    found.sort(key=lambda each: (not each.is_new, not each.rising, -each.count, each.first_at, each.text))
    return tuple(found[:most])


@dataclass(frozen=True)
class _Spans:
    """How long was looked at, in seconds, on each side of the split."""

    split_at: float | None
    before: float
    after: float

    @classmethod
    def around(cls, start: float, split_at: float | None, end: float) -> _Spans:
        split = start if split_at is None else split_at
        return cls(split_at, max(split - start, 0.0), max(end - split, 1.0))

    def rising(self, before: int, after: int) -> bool:
        if self.split_at is None or after < LEAST_RISING or self.before <= 0:
            return False
        return after / self.after >= RISING * before / self.before


def _template(
    service: str | None, level: str, text: str, members: Sequence[LogLine], spans: _Spans
) -> Template:
    split = spans.split_at
    before = 0 if split is None else sum(1 for line in members if line.at < split)
    after = len(members) - before
    return Template(
        text=text,
        count=len(members),
        before=before,
        after=after,
        is_new=split is not None and spans.before > 0 and before == 0,
        rising=spans.rising(before, after),
        example=members[-1].text,
        first_at=members[0].at,
        service=service,
        level=level,
    )


def _grouped(lines: Sequence[LogLine], most_texts: int) -> Iterable[tuple[str, list[LogLine]]]:
    """Lines of one service and level by template. Every different text goes through Drain once."""
    # Imported here, for a replica that never reads logs pays nothing for it.
    from drain3.drain import Drain  # type: ignore[import-untyped]  # noqa: PLC0415

    texts = {line.text: masked(line.text) for line in lines}
    counted = Counter(texts[line.text] for line in lines)
    known = dict(counted.most_common(most_texts))
    tree = Drain(depth=4, sim_th=0.5, max_children=100)
    clusters = {text: tree.add_log_message(text)[0] for text in sorted(known)}
    members: defaultdict[str, list[LogLine]] = defaultdict(list)
    for line in lines:
        cluster = clusters.get(texts[line.text])
        members[cluster.get_template() if cluster else _first_words(line.text)].append(line)
    return members.items()


def masked(text: str) -> str:
    """`text` on one line, clipped, with every word that has a digit in it replaced."""
    return " ".join(WITH_DIGIT.sub(PLACEHOLDER, text[:MOST_CHARACTERS]).split())


def _first_words(text: str) -> str:
    """The template of a text for which there was no room any more."""
    return " ".join([*masked(text).split()[:3], PLACEHOLDER])
