"""Runbooks by the alert they are for: its exact name first, then by what the alert says.

By words, a runbook has two scores that count alike: BM25 of its text (words, and pairs of neighbours written
together, so that “file system” finds “filesystem”), and how much of its title is asked for. The title is
compared with titles alone: a word that many runbooks use may be the rare one among their titles. Each score
is a share of the best one's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from app.context.names import WORD, squeezed, words
from app.context.ranking import K1, KINDRED_WEIGHT, SILENT, B, rarity, stem
from app.context.sections import cut
from app.knowledge.models import Knowledge

FIELD_WEIGHTS = (3.0, 1.0, 1.0)
"""Of the title, the first section and the rest."""
SHORTEST_BEGINNING = 4
"""Letters; `config` in a title is asked for by “configuration”, but `in` not by “instance”."""
MOST_WORDS = 400
"""Of a question; more is a pasted log."""


@dataclass(frozen=True)
class Runbook:
    """One page: its title, its text (empty when only its address is known) and whose it is (None: all)."""

    title: str
    name: str
    text: str = ""
    path: str = ""
    url: str | None = None
    service: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class FoundRunbook:
    """`fit` is how much of the title was asked for, 0–1, rare words counting more; 1 for an exact name.

    Scores compare runbooks within one question; `fit` says whether even the best one is about it.
    """

    runbook: Runbook
    score: float
    fit: float
    exact: bool = False


class Runbooks:
    """An index over some hundred runbooks, made once a revision; a question takes well below 1 ms."""

    def __init__(self, runbooks: Iterable[Runbook] = ()) -> None:
        self._all = tuple(runbooks)

    def __len__(self) -> int:
        return len(self._all)

    def find(
        self, alert_name: str | None, text: str = "", *, service: str | None = None, limit: int = 3
    ) -> tuple[FoundRunbook, ...]:
        """The best runbooks, best first: those named like the alert, then those its words fit.

        A runbook that belongs to another service is left out.
        """
        exact = self._named(alert_name, text)
        scored = self._scored(f"{alert_name or ''} {text}")
        named = [FoundRunbook(self._all[at], 1 + scored.get(at, (0.0, 0.0))[0], 1.0, True) for at in exact]
        by_words = [
            FoundRunbook(self._all[at], score, fit) for at, (score, fit) in scored.items() if at not in exact
        ]
        found = [*named, *sorted(by_words, key=lambda each: (-each.score, each.runbook.name))]
        return tuple(each for each in found if _is_for(each.runbook, service))[:limit]

    def of_service(self, service: str) -> tuple[Runbook, ...]:
        return tuple(each for each in self._all if each.service == service)

    def _named(self, alert_name: str | None, text: str) -> dict[int, None]:
        """Places of the runbooks whose name is the alert's, or stands in the text as one word."""
        wanted = [squeezed(alert_name)] if alert_name else []
        wanted += [squeezed(word) for word in WORD.findall(text)[:MOST_WORDS] if len(words(word)) > 1]
        return dict.fromkeys(at for name in wanted for at in self._names.get(name, ()))

    @cached_property
    def _names(self) -> Mapping[str, tuple[int, ...]]:
        places: dict[str, list[int]] = defaultdict(list)
        for at, runbook in enumerate(self._all):
            for name in dict.fromkeys((squeezed(runbook.name), squeezed(runbook.title))):
                places[name].append(at)
        return {name: tuple(found) for name, found in places.items() if name}

    def _scored(self, question: str) -> dict[int, tuple[float, float]]:
        """Score and fit of every runbook that shares a word with the question, by place."""
        asked = self._asked(question)
        by_text = self._text.scores(asked)
        by_title, fits = self._titles.scores(asked)
        best_text, best_title = max(by_text.values(), default=1.0), max(by_title.values(), default=1.0)
        return {
            at: (
                by_text.get(at, 0.0) / best_text + by_title.get(at, 0.0) / best_title,
                fits.get(at, 0.0),
            )
            for at in by_text.keys() | by_title.keys()
        }

    def _asked(self, question: str) -> dict[str, float]:
        """The terms of a question with their weights: its words, their pairs, and words of titles that
        begin one of its words or the other way round."""
        telling = _telling(question)[:MOST_WORDS]
        single = dict.fromkeys(map(stem, telling))
        asked = dict.fromkeys([*single, *_pairs(telling)], 1.0)
        for term in single:
            for kindred in self._titles.kindred(term):
                asked.setdefault(kindred, KINDRED_WEIGHT)
        return asked

    @cached_property
    def _text(self) -> _Texts:
        return _Texts([_counted(each) for each in self._all])

    @cached_property
    def _titles(self) -> _Titles:
        return _Titles([frozenset(map(stem, _telling(_title(each)))) for each in self._all])


class _Texts:
    """BM25F (section 3.4 of what `app.context.ranking` names) over pages in three fields: each counts by its
    own length, so a long page is not held to say less in its title and its first section."""

    def __init__(self, pages: Sequence[tuple[Counter[str], ...]]) -> None:
        means = [sum(map(Counter.total, field)) / len(pages) or 1.0 for field in zip(*pages, strict=True)]
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for at, page in enumerate(pages):
            held: dict[str, float] = defaultdict(float)
            for field, mean, weight in zip(page, means, FIELD_WEIGHTS, strict=True):
                norm = 1 - B + B * field.total() / mean
                for term, count in field.items():
                    held[term] += weight * count / norm
            for term, weighed in held.items():
                postings[term].append((at, weighed * (K1 + 1) / (weighed + K1)))
        self._postings = {
            term: tuple((at, rarity(len(found), len(pages)) * part) for at, part in found)
            for term, found in postings.items()
        }

    def scores(self, asked: Mapping[str, float]) -> dict[int, float]:
        totals: dict[int, float] = defaultdict(float)
        for term, weight in asked.items():
            for at, part in self._postings.get(term, ()):
                totals[at] += weight * part
        return totals


class _Titles:
    """How much of each title is asked for."""

    def __init__(self, titles: Sequence[frozenset[str]]) -> None:
        holding = Counter(term for title in titles for term in title)
        self._rarity = {term: rarity(count, len(titles)) for term, count in holding.items()}
        self._whole = [sum(map(self._rarity.__getitem__, title)) for title in titles]
        self._places: dict[str, list[int]] = defaultdict(list)
        for at, title in enumerate(titles):
            for term in title:
                self._places[term].append(at)
        self._beginning: dict[str, list[str]] = defaultdict(list)
        for term in self._places:
            for beginning in _beginnings(term):
                self._beginning[beginning].append(term)

    def kindred(self, term: str) -> list[str]:
        """Terms of titles that begin with this one, or that this one begins with."""
        longer = self._beginning.get(term, [])
        return [*longer, *(each for each in _beginnings(term) if each in self._places)]

    def scores(self, asked: Mapping[str, float]) -> tuple[dict[int, float], dict[int, float]]:
        """What is shared times its share of the title, so that of two titles that are shared in full the
        longer one wins, and of two that share the same the shorter one; and the share alone."""
        shared: dict[int, float] = defaultdict(float)
        for term in asked.keys() & self._places.keys():
            for at in self._places[term]:
                shared[at] += asked[term] * self._rarity[term]
        fits = {at: total / self._whole[at] for at, total in shared.items()}
        return {at: total * fits[at] for at, total in shared.items()}, fits


def runbooks_of(knowledge: Knowledge, linked: Mapping[str, Sequence[str]] | None = None) -> Runbooks:
    """The runbooks of the knowledge repo, and those the catalog links to (`service → addresses`)."""
    pages = [
        Runbook(
            title=page.title,
            name=PurePosixPath(page.path).stem,
            text=page.text,
            path=page.path,
            url=knowledge.url(page),
            revision=knowledge.revision,
        )
        for page in knowledge.runbooks
    ]
    links = [
        Runbook(title=f"{_name_in(url)} ({service})", name=_name_in(url), url=url, service=service)
        for service, urls in (linked or {}).items()
        for url in urls
    ]
    return Runbooks([*pages, *links])


def _name_in(url: str) -> str:
    """What an address calls its page: `…/runbooks/PoolExhausted.md` is PoolExhausted."""
    parts = urlsplit(url)
    last = PurePosixPath(unquote(parts.path)).stem
    return last or parts.netloc


def _is_for(runbook: Runbook, service: str | None) -> bool:
    return runbook.service is None or service is None or runbook.service == service


def _title(runbook: Runbook) -> str:
    """Its title, and its name when that says it in other words."""
    same = squeezed(runbook.title) == squeezed(runbook.name)
    return runbook.title if same else f"{runbook.title} {runbook.name}"


def _telling(text: str) -> list[str]:
    return [word for word in words(text) if word not in SILENT]


def _pairs(telling: Sequence[str]) -> list[str]:
    return [stem(first + second) for first, second in pairwise(telling)]


def _counted(runbook: Runbook) -> tuple[Counter[str], ...]:
    """The terms of the title, of the first section and of the rest."""
    lead, *rest = (part.text for part in cut(runbook.text)) if runbook.text.strip() else ("",)
    return tuple(
        Counter([*map(stem, telling), *_pairs(telling)])
        for telling in map(_telling, (_title(runbook), lead, "\n".join(rest)))
    )


def _beginnings(term: str) -> list[str]:
    return [term[:length] for length in range(SHORTEST_BEGINNING, len(term) + 1)]
