"""What an investigation needs of the place it is shown in, and of whoever stores what people press there.

`slack/` provides the first, `runtime.py` hands the second to it; no domain room sees more of Slack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from app.conversations.reply import Ledger
from app.investigations.alert import Link, Severity
from app.investigations.brief import Brief
from app.investigations.evidence import Finding, Ranking
from app.investigations.models import IncidentStatus

HeadlineState = Literal[
    "investigating", "evidence", "evidence_only", "diagnosed", "failed", "resolved", "closed"
]
"""`closed` is what was taken to be over because nothing is heard of it any more."""
Button = Literal["correct", "wrong", "dig_deeper", "escalate", "acknowledge"]

LOOKING: tuple[Button, ...] = ("escalate",)
DIAGNOSED: tuple[Button, ...] = ("correct", "wrong", "dig_deeper", "escalate")
EVIDENCE_ONLY: tuple[Button, ...] = ("correct", "wrong", "escalate")
FAILED: tuple[Button, ...] = ("dig_deeper", "escalate")


@dataclass(frozen=True)
class Member:
    """One incident of a storm, as a line of the thread's headline. `because` is a clause that says why it is
    in there; empty for the one that opened the thread."""

    title: str
    service: str | None = None
    severity: Severity | None = None
    link: Link | None = None
    because: str = ""
    status: IncidentStatus = "open"


@dataclass(frozen=True)
class Storm:
    """Incidents that share a thread: some of them in any order, and by `reasons` (see `Member.because`) how
    many there are of each, listed here or not."""

    members: tuple[Member, ...]
    reasons: Mapping[str, int]


@dataclass(frozen=True)
class Headline:
    """The root of the thread. `said` is the brief's own headline once there is one.

    `started_at` is seconds since the epoch; `link` the source's page of the incident; `on_call` a name.
    `incidents` are what the thread is about, `over` those of them that burn no longer.
    """

    title: str
    state: HeadlineState = "investigating"
    service: str | None = None
    severity: Severity | None = None
    started_at: float | None = None
    source: str = ""
    link: Link | None = None
    said: str = ""
    on_call: str = ""
    incidents: int = 1
    over: int = 0
    storm: Storm | None = None


@dataclass(frozen=True)
class Footer:
    """What a brief took: seconds since the page, the model (None without one), and its usage."""

    seconds: float
    model: str | None = None
    turns: int = 0
    tool_calls: int = 0
    tokens: int = 0
    usd: Decimal | None = None


@dataclass(frozen=True)
class Told:
    """A brief with all it cites. `findings` are all of the investigation's, cited or not.

    `failure` says why no model concluded although one was to; the brief is then that of the evidence, as it
    is when no model is configured. `on_call` names those who are on call, where they are to be told at once,
    and `on_call_ids` is how the place addresses them, empty when it does not know them. `buttons` are offered
    in this order; `waits_for` says what comes next, for a brief that is not the last.
    """

    brief: Brief
    findings: tuple[Finding, ...] = ()
    ranking: Ranking | None = None
    footer: Footer | None = None
    on_call: str = ""
    on_call_ids: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    waits_for: str = ""
    failure: str = ""


class Opened(NamedTuple):
    """Where the thread is: the three parts of a session's key."""

    team_id: str
    channel_id: str
    thread_ts: str


class IncidentThread(Protocol):
    """One investigation's thread, whichever process writes to it: everything in it is shown once.

    The ledger is the investigation's (one for both stages). Its intent is stored before anything is posted,
    so a successor finds what a predecessor posted and does not post it again. All methods raise `NotShown`
    when the place will not have it for good, `NotReached` when calling again may help.
    """

    async def open(self, headline: Headline) -> Opened:
        """Post the root of the thread, or find the one that is there. Must come before all others."""

    async def headline(self, headline: Headline) -> None:
        """Rewrite the root; nothing happens when it reads like that already."""

    async def evidence_brief(self, told: Told) -> None:
        """What the evidence core found."""

    async def all_evidence(self, told: Told) -> None:
        """The whole evidence as a file, where its brief does not list it; the brief stands without it."""

    async def chart(self, png: bytes, alt: str) -> None:
        """A picture, `alt` its description in words."""

    async def final_brief(self, told: Told, *, round: int = 1) -> None:
        """What it came to, as a message of its own, which notifies: the diagnosis, with the whole evidence as
        a file when it is long; else that there is none, why, and what the evidence alone says.

        `round` counts the diagnoses there were.
        """

    async def failed(
        self,
        reason: str,
        *,
        trace_id: str = "",
        buttons: tuple[Button, ...] = FAILED,
        round: int = 1,
        stands: bool = False,
    ) -> None:
        """The diagnosis has finally failed, and why; with `stands` it was a deeper one, and what was
        concluded before it stands."""

    async def note(self, sentence: str, *, key: str = "", calls: bool = False) -> None:
        """One sentence (too old to diagnose, joined by another incident, resolved); the same one once, or
        with a `key` once whatever it says by then.

        One that `calls` addresses the team that helps, too, where the place knows one: of all words of a
        note, those alone address anybody.
        """

    async def waits(self, sentence: str, *, round: int = 1) -> None:
        """What the diagnosis waits for just now: a note that is posted once and then reads like this."""

    async def waited(self, sentence: str, *, round: int = 1) -> None:
        """How that ended, in the same note; nothing happens where there is none."""

    async def attach(self, file_name: str, title: str, content: bytes) -> None:
        """A file, once."""


class IncidentSurface(Protocol):
    def thread(self, investigation_id: UUID, channel: str, ledger: Ledger) -> IncidentThread: ...

    async def people(self, emails: Sequence[str]) -> tuple[str, ...]:
        """The ids by which the place addresses the people of these addresses; whom it does not know is left
        out, and all of them where it cannot be asked."""


# -- what people press -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pressed:
    """What holds after a button: who pressed first (a user's id), and the words that replace the buttons.

    `accepted` is False when an earlier press stands; `by` and `said` are then of that one. `said` goes on
    after the person's name: “confirmed this cause”, “escalated this to the database team”.
    """

    accepted: bool
    by: str
    said: str


class IncidentDesk(Protocol):
    """Stores what people decided, by compare-and-set, and returns within a second: work goes to a job.

    All raise `AgentError` with a sentence for the person when it cannot be done; nothing is stored then.
    """

    async def outcome(
        self, investigation_id: UUID, user_id: str, *, correct: bool, cause: str | None
    ) -> Pressed:
        """Whether the diagnosis was right; `cause` is what it really was, None when nobody says."""

    async def dig_deeper(self, investigation_id: UUID, user_id: str) -> Pressed:
        """Another diagnosis, by the strong model."""

    async def escalate(self, investigation_id: UUID, user_id: str) -> Pressed: ...

    async def acknowledge(self, investigation_id: UUID, user_id: str) -> Pressed:
        """In the incident's own source: a person's act, never the agent's."""
