"""The whole program against the playground, as the acceptance tests start it."""

from tests.acceptance.conftest import organisation, stack

__all__ = ["organisation", "stack"]
