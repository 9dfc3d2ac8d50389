"""Messages that need no analyst: an empty one, an image alone, "reload"."""

from __future__ import annotations

from app.agent.answer import Answer
from app.conversations.models import LONGEST_QUESTION, Envelope, Turn
from app.knowledge.models import Knowledge
from app.tools.masking import mask

LONGEST_NAME = 100

WHAT_I_DO = (
    "Ask me about a service, for example:\n"
    "- *what do I need before we launch checkout?*\n"
    "- *which timeout does checkout use towards payments?*\n"
    "- *what does tier 1 ask of us?*\n\n"
    "I answer from the service's blueprint, contracts, README and tier standard. In this thread you need not "
    "mention me again."
)
READABLE = "I read text only, so far. Paste the error, the query or the part of the log as text"


def shortcut(turn: Turn, knowledge: Knowledge) -> Answer | None:
    """The answer to a message that asks nothing of the documents; None for every other. Pure."""
    question = turn.question.strip()
    if question.lower() == "reload":
        return Answer(f"I have loaded knowledge revision `{knowledge.revision}` for this thread.")
    if question:
        return None
    if turn.envelope.attachments:
        names = ", ".join(f"`{as_code(name)}`" for name in turn.envelope.attachments)
        return Answer(f"I see {names}, but I cannot look into files. {READABLE}, and I will help.")
    return Answer(f"Hello! {WHAT_I_DO}")


def as_code(name: str) -> str:
    """A file's name as it may stand between backticks: whoever named it does not write our answer."""
    return mask(" ".join(name.replace("`", "'").split()))[:LONGEST_NAME]


def notices(asked: Envelope) -> tuple[str, ...]:
    """What the asker should know about how the question was read."""
    said: tuple[str, ...] = ()
    if asked.truncated:
        said += (f"Your message was long: I used its first {LONGEST_QUESTION:,} characters.",)
    if asked.attachments:
        said += (f"I did not look into the attached files. {READABLE}.",)
    return said
