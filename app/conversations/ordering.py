"""What somebody orders when they want a file brought elsewhere: “open a pull request”, “put it in Notion”."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.delivery.models import Kind
from app.workflows.finding import agrees

LONGEST_ORDER = 200
POLITELY = (
    r"(?:(?:hey|hi|ok(?:ay)?|thanks?|thank you|great|good|perfect|and|so|then|now|please|pls)\b[\s,.!:]*)*"
    r"(?:(?:can|could|would|will) you |(?:let'?s|let us) |(?:i|we)(?:'d| would)? (?:like|want) (?:you )?to )?"
    r"(?:please |now |also |just )*"
)
REQUEST = r"(?:pull[\s-]?request|pr|merge request)"
WITH = r"(?: (?:with|for|from|of|out of) (?:it|this|that|these|them|the (?:files?|artifacts?|results?)))?"
WHERE = r"(?: (?:to|in|into|on|against|at|for) (?P<where>[\w ./'’-]{1,80}?))?"
END = r"(?:,? (?:please|pls|now))*\s*[.!?]*$"
PULL_REQUEST = re.compile(
    rf"\s*{POLITELY}(?:(?:open|make|create|raise|send|file|submit|start|do|put up)(?: me| us)? "
    rf"(?:(?:it|this|that|them) (?:as |into )?)?)?(?:an? |the )?(?:new |draft )?{REQUEST}{WITH}{WHERE}{END}",
    re.IGNORECASE,
)
NOTION = re.compile(
    rf"\s*{POLITELY}(?:"
    r"(?:make|create|open|write|draft|start|add)(?: me| us)? (?:an? |the )?(?:new |draft )*"
    rf"(?:notion (?:draft|page|doc(?:ument)?)(?: page)?|(?:page|doc(?:ument)?|draft) (?:in|on) notion){WITH}"
    r"|(?:put|send|save|publish|export|copy|write) "
    r"(?:it|this|that|them|the (?:files?|artifacts?|drafts?|results?))"
    rf"(?: as an? (?:draft |new )?(?:page|draft))? (?:to|in|into|on) notion){END}",
    re.IGNORECASE,
)
DECLINED = re.compile(r"\s*(?:no|nope|nein|don'?t|do not|leave it|never ?mind|cancel|stop)\b.{0,40}$", re.I)
CONFIRMED = re.compile(
    r"\s*(?:yes,? )?(?:open it|confirm(?:ed)?|make it|send it|put it there)\s*[.!]*$", re.I
)
OWN = frozenset({
    "the repo", "the repository", "its repo", "its repository", "our repo", "this repo", "the service",
    "the service repo", "the service's repo", "the service’s repo", "github", "review",
})  # fmt: skip


@dataclass(frozen=True)
class Order:
    """`where` is what the person said about the place; "" for nothing, or the service's own."""

    kind: Kind
    where: str = ""


def order_in(words: str) -> Order | None:
    """What a message orders; None when it is about something else, or about more than that."""
    if len(words) > LONGEST_ORDER:
        return None
    if found := PULL_REQUEST.match(words):
        where = " ".join((found["where"] or "").casefold().split())
        return Order("pull_request", "" if where in OWN else where)
    return Order("notion_page") if NOTION.match(words) else None


def is_about_knowledge(where: str) -> bool:
    return re.fullmatch(r"(?:the |our )?knowledge(?: (?:repo(?:sitory)?|base))?", where) is not None


def repo_words(where: str) -> str:
    """The name in “the checkout repo”, “checkout's repository”."""
    bare = re.sub(r"^(?:the |our )", "", where)
    return re.sub(r"(?:['’]s)?(?: service)?(?:['’]s)?(?: repo(?:sitory)?)?$", "", bare).strip()


def confirms(words: str) -> bool:
    return agrees(words) or CONFIRMED.match(words) is not None


def declines(words: str) -> bool:
    return DECLINED.match(words) is not None
