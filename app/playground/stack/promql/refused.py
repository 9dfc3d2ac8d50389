"""Why a query was not answered."""

from __future__ import annotations

from app.errors import AgentError


class BadQuery(AgentError):
    """A query that cannot be read, or asks for more than this evaluator knows."""

    code = "bad_data"
    status = 400

    @classmethod
    def at(cls, text: str, place: int, problem: str) -> BadQuery:
        """With the line and column of the problem, as Prometheus says it."""
        line = text.count("\n", 0, place) + 1
        column = place - (text.rfind("\n", 0, place) + 1) + 1
        return cls(f"{line}:{column}: parse error: {problem}")
