"""The postmortem that somebody asks for in an incident's thread."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.drafts import Draft
from app.investigations import recording
from app.investigations.postmortem import TODO, postmortem
from app.investigations.recall import of_session
from app.investigations.record import Record
from app.storage.engine import begin

LONGEST_ORDER = 200
"""Characters at the beginning of a message in which an order is looked for."""
POLITELY = (
    r"(?:(?:hey|hi|ok(?:ay)?|thanks?|thank you|great|good|and|so|then|now|please|pls)\b[\s,.!:]*)*"
    r"(?:(?:can|could|would|will) you |(?:let'?s|let us|we should) "
    r"|(?:i|we)(?:'d| would)? (?:like|want|need) (?:(?:you )?to )?)?(?:please |now |also |just )*"
)
WRITING = (
    r"(?:write|draft|prepare|create|generate|produce|start|begin|compose|attach"
    r"|(?:make|do)(?= an? )|(?:give|send)(?= (?:me|us)? ?(?:the|an?) ))"
)
BETWEEN = (
    r"(?:\s+(?:up|me|us|down|a|an|the|this|our|your|its|first|short|new|blameless|incident(?:'s)?|draft|version"
    r"|of|for))*\s+"
)
POSTMORTEM = r"post[\s-]?mortem\b"
BARE = (
    rf"(?:an? |the )?{POSTMORTEM}(?: draft)?(?: for (?:this|it|the incident))?[\s,]*(?:please|pls)?[\s.!?]*$"
)
ORDER = re.compile(rf"\s*{POLITELY}(?:{WRITING}{BETWEEN}{POSTMORTEM}|{BARE})", re.IGNORECASE)
"""An order for one: “write a postmortem”, “can you draft the post-mortem for this?”, “postmortem please”.
A question about one (“what did the last postmortem say?”) is none."""


def orders(words: str) -> bool:
    return ORDER.match(words[:LONGEST_ORDER]) is not None


TOLD = (
    "Here is a draft of the postmortem, from what this investigation recorded. It names nobody, and what "
    f"only people know is marked `{TODO}`."
)
UNJUDGED = (
    "Nobody has said yet what it really was: press “correct” or “wrong” under the brief, and ask again."
)


@dataclass(frozen=True)
class Postmortems:
    """`Drafts` of the threads of investigations, from their stored records alone."""

    engine: AsyncEngine

    async def asked_for(self, session_id: int, question: str) -> Draft | None:
        if not orders(question):
            return None
        async with begin(self.engine) as connection:
            investigation_id = await of_session(connection, session_id)
        if investigation_id is None:
            return None
        try:
            record = await recording.finished(self.engine, investigation_id)
        except recording.NotOver as error:
            return Draft(f"I cannot draft the postmortem yet. {error.sentence}")
        return drafted(record)


def drafted(record: Record) -> Draft:
    """The draft, and what is still missing in it. Pure."""
    return Draft(
        said=TOLD if record.outcome else f"{TOLD} {UNJUDGED}",
        file_name=f"postmortem-{record.id.hex[:8]}.md",
        title=f"Postmortem (draft): {record.title}",
        content=postmortem(record, hosts=recording.hosts(record)).encode("utf-8", "replace"),
        otherwise=f"`sre-agent postmortem {record.id}` prints it.",
    )
