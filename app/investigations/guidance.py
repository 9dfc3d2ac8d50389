"""How the model is to investigate: the knowledge repo's `templates/investigation.md`."""

from __future__ import annotations

from functools import cache

from app.knowledge.models import Knowledge
from app.knowledge.packaged import packaged_path

GUIDANCE = "templates/investigation.md"


def guidance_of(knowledge: Knowledge) -> str:
    """The repo's own, else the one that comes with the program."""
    own = next((each.text for each in knowledge.templates if each.path == GUIDANCE), None)
    return own if own is not None else _packaged()


@cache
def _packaged() -> str:
    return (packaged_path() / GUIDANCE).read_text("utf-8")
