"""What storage raises."""

from __future__ import annotations

from app.errors import AgentError


class DatabaseUnavailable(AgentError):
    """The database did not answer."""

    code = "database_unavailable"
    status = 503


class SchemaBehind(AgentError):
    """The database's schema is not the one this version needs."""

    code = "schema_behind"


class SchemaIsNewer(AgentError):
    """The database's schema is that of a version after this one."""

    code = "schema_is_newer"


class StaleAttempt(AgentError):
    """Another worker has taken this turn over; what this one would write is refused."""

    code = "stale_attempt"
