"""The Web API's methods, one module per family; importing this package registers them all."""

from app.playground.slack.methods import (
    agents,
    auth,
    chat,
    conversations,
    files,
    people,
    reactions,
    streaming,
    views,
)
from app.playground.slack.methods.registry import METHODS, Call, Method

__all__ = [
    "METHODS",
    "Call",
    "Method",
    "agents",
    "auth",
    "chat",
    "conversations",
    "files",
    "people",
    "reactions",
    "streaming",
    "views",
]
