"""The one base of every error this program raises on purpose."""

from __future__ import annotations


class AgentError(Exception):
    """An error with a stable `code` and a sentence its reader can act on.

    Subclasses set `code` (snake_case, never renamed: people search logs and alerts for it) and
    `status`, the HTTP status a route answers when the error reaches it.
    """

    code: str = "internal"
    status: int = 500

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.sentence} [{self.code}]"
