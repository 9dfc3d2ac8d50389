"""What a Web API method is: a name, the scope it needs, its rate, its arguments, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.playground.slack.arguments import Arguments
from app.playground.slack.limits import Rate
from app.playground.slack.records import Json
from app.playground.slack.workspace import Workspace

if TYPE_CHECKING:
    from app.playground.slack.desk import Desk


@dataclass(frozen=True)
class Call:
    """One call of a method that passed authentication, scope and rate."""

    desk: Desk
    arguments: Arguments

    @property
    def workspace(self) -> Workspace:
        return self.desk.workspace


Handle = Callable[[Call], Json]


@dataclass(frozen=True)
class Method:
    name: str
    handle: Handle
    rate: Rate
    scopes: tuple[str, ...]
    """Any one of them is enough; empty when none is needed."""
    arguments: frozenset[str]
    token: str
    """`bot`, `app` (an app-level token) or `none`."""


METHODS: dict[str, Method] = {}


def method(
    name: str, rate: Rate, *scopes: str, arguments: str = "", token: str = "bot"
) -> Callable[[Handle], Handle]:
    """Register a function as the Web API method `name`; `arguments` are its documented names."""

    def register(handle: Handle) -> Handle:
        METHODS[name] = Method(name, handle, rate, scopes, frozenset(arguments.split()), token)
        return handle

    return register
