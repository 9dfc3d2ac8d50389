"""Fixtures of the agent's tests."""

from tests.agent.stage import silent_stage, stage

__all__ = ["silent_stage", "stage"]
