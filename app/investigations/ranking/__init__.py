"""Causes ranked without a model: a pure function from what was observed to what to think of it."""

from app.investigations.ranking.deciding import rank

__all__ = ["rank"]
