"""The whole program against the playground, as the acceptance tests start it."""

from tests.acceptance.conftest import organisation, stack
from tests.security.door import door, log

__all__ = ["door", "log", "organisation", "stack"]
