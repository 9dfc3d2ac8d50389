"""The `/ops/*` pages that our registered services serve about themselves: read, and never written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

from pydantic import SecretStr

from app.errors import AgentError
from app.settings import Endpoint, RegisteredService
from app.sources.failures import ReadRefused
from app.sources.http import ReadOnlyHttp

ALLOWED = ("/ops/**",)


class NotRegistered(AgentError):
    """A service of that name is not in SERVICE_REGISTRY, or stands there without an address."""

    code = "not_registered"
    status = 404


class OpsEndpoints:
    """Reads `/ops/*` of the services of SERVICE_REGISTRY; `token` goes to those alone."""

    def __init__(
        self,
        services: Iterable[RegisteredService],
        token: SecretStr | None = None,
        *,
        ca_file: Path | None = None,
        timeout_seconds: float = 10,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._readers = {
            service.name.lower(): ReadOnlyHttp(
                Endpoint(service.url, token=token, ca_file=ca_file),
                ALLOWED,
                source=service.name,
                dependency=f"service:{service.name}",
                timeout_seconds=timeout_seconds,
                clock=clock,
            )
            for service in services
            if service.url
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The services that can be asked."""
        return tuple(reader.source for reader in self._readers.values())

    async def aclose(self) -> None:
        for reader in self._readers.values():
            await reader.aclose()

    async def get(self, service: str, path: str) -> str:
        """What a service answers on `path` (`/ops/status`, or `status` for short; a query may follow).

        Raises:
            NotRegistered: there is no such service to ask.
            ReadRefused: the path is not below `/ops/`; nothing was sent.
            SourceFailed: the service gives no usable answer.
        """
        reader = self._reader(service)
        place, _, query = path.partition("?")
        try:
            params = tuple(parse_qsl(query, keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise ReadRefused(reader.source, path) from None
        return await reader.text(_full(place), params or None)

    def link(self, service: str, path: str) -> str:
        """The address of that page."""
        return self._reader(service).page(_full(path))

    def _reader(self, service: str) -> ReadOnlyHttp:
        reader = self._readers.get(service.strip().lower())
        if reader is None:
            known = ", ".join(self.names) or "none"
            raise NotRegistered(f"{service!r} has no /ops address in SERVICE_REGISTRY; it has: {known}.")
        return reader


def _full(path: str) -> str:
    return path if "/" in path else f"/ops/{path}"
