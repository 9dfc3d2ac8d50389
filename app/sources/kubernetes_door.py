"""The connection to a cluster: lists of a few kinds, and nothing else.

Importing this costs the memory and time of lightkube, so `app.sources.kubernetes` does so on the first
question.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from lightkube import AsyncClient, KubeConfig
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import NameValue
from lightkube.core.exceptions import ConfigError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from yaml import YAMLError

from app.settings import secret_variables
from app.sources.allowed import AllowList, Unacceptable
from app.sources.bounded import ask_bounded
from app.sources.failures import NotThere, QueryRejected, ReadRefused, SourceFailed
from app.tracing import HEADER, current_trace_id

IN_CLUSTER = "in-cluster"
CHUNK = 250
MOST_BYTES = 16 * 1024 * 1024
CORE = ("pods", "events", "nodes")
APPS = ("deployments", "replicasets")
ALLOWED = (
    *(f"/api/v1/{kind}" for kind in CORE),
    *(f"/api/v1/namespaces/*/{kind}" for kind in CORE if kind != "nodes"),
    *(f"/apis/apps/v1/{kind}" for kind in APPS),
    *(f"/apis/apps/v1/namespaces/*/{kind}" for kind in APPS),
    "/apis/argoproj.io/v1alpha1/applications",
    "/apis/argoproj.io/v1alpha1/namespaces/*/applications",
)
KINDS: Mapping[str, Any] = {
    "pods": create_namespaced_resource("", "v1", "Pod", "pods"),
    "events": create_namespaced_resource("", "v1", "Event", "events"),
    "nodes": create_global_resource("", "v1", "Node", "nodes"),
    "deployments": create_namespaced_resource("apps", "v1", "Deployment", "deployments"),
    "replicasets": create_namespaced_resource("apps", "v1", "ReplicaSet", "replicasets"),
    "applications": create_namespaced_resource("argoproj.io", "v1alpha1", "Application", "applications"),
}
"""Untyped on purpose: the typed models cost several times the memory, and what is missing in an object is
read as empty here anyway."""


class ReadsOnly(httpx2.AsyncBaseTransport):
    """Lets GET pass to the lists of `ALLOWED`, and nothing else, whatever the client above it can do."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner
        self._allowed = AllowList(ALLOWED)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            plain = self._allowed.admit(request.url.path)
        except Unacceptable:
            plain = ""
        if request.method != "GET" or plain != request.url.path:
            raise ReadRefused("kubernetes", f"{request.method} {request.url.path}")
        if trace_id := current_trace_id():
            request.headers[HEADER] = trace_id
        return await ask_bounded(self._inner, request, "kubernetes", MOST_BYTES)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Door:
    """Lists objects as plain mappings."""

    def __init__(self, where: str, *, timeout_seconds: float) -> None:
        """
        Raises:
            SourceFailed: there is no such kubeconfig, or it cannot be used.
        """
        self._timeout_seconds = timeout_seconds
        try:
            config = _config(where)
            verify = verify_cluster(config.cluster, config.user, config.abs_file) if config.user else True
            inner = httpx2.AsyncHTTPTransport(verify=verify)
            self._client = AsyncClient(
                config, timeout=httpx2.Timeout(timeout_seconds), transport=ReadsOnly(inner), trust_env=False
            )
        except (ConfigError, OSError, YAMLError, LookupError, TypeError, ValueError) as error:
            # Other errors may quote the file, and with it a token.
            why = error if isinstance(error, ConfigError | OSError) else type(error).__name__
            reason = f"is not asked: KUBERNETES={where} cannot be used ({why})."
            raise SourceFailed("kubernetes", reason) from error

    @property
    def namespace(self) -> str:
        return str(self._client.namespace)

    async def listed(
        self,
        kind: str,
        *,
        namespace: str | None,
        labels: Mapping[str, str],
        fields: Mapping[str, str],
        most: int,
    ) -> list[Mapping[str, Any]]:
        """At most `most` objects of a kind (a key of `KINDS`); no namespace means all of them.

        Raises:
            SourceFailed: the cluster gives no usable answer (`NotThere`: it has no such kind).
        """
        where = {} if kind == "nodes" else {"namespace": namespace or "*"}
        chunk = min(CHUNK, most)
        objects = self._client.list(
            KINDS[kind], chunk_size=chunk, labels=dict(labels), fields=dict(fields), **where
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await _first(objects, most)
        except httpx2.HTTPStatusError as error:
            raise _refusal(kind, error) from error
        except (TimeoutError, httpx2.TimeoutException):
            reason = f"did not answer within {self._timeout_seconds:g} seconds."
            raise SourceFailed("kubernetes", reason) from None
        except (httpx2.HTTPError, OSError) as error:
            raise SourceFailed(
                "kubernetes", f"cannot be reached: {error or type(error).__name__}."
            ) from error
        except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"answered with something that is no list of {kind} ({type(error).__name__})."
            raise SourceFailed("kubernetes", reason) from error

    async def aclose(self) -> None:
        await self._client.close()


async def _first(listed: AsyncIterable[Any], most: int) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    async for each in listed:
        found.append(each)
        if len(found) >= most:
            break
    return found


def _config(where: str) -> SingleConfig:
    file = Path(where).expanduser()
    config = KubeConfig.from_service_account() if where == IN_CLUSTER else KubeConfig.from_file(file)
    single = config.get()
    if single is None:
        raise ConfigError("it has no current context")
    if single.user is not None and single.user.exec is not None:
        # A program that signs in (`aws eks get-token`) is started with our whole environment.
        hidden = [NameValue(name, "") for name in sorted(secret_variables())]
        single.user.exec.env = [*hidden, *(single.user.exec.env or [])]
    return single


def _refusal(kind: str, error: httpx2.HTTPStatusError) -> SourceFailed:
    status = error.response.status_code
    words = " ".join(str(getattr(getattr(error, "status", None), "message", "") or "").split())[:300]
    said = f": {words}" if words else "."
    if status in (401, 403):
        return SourceFailed("kubernetes", f"does not let us list {kind} (HTTP {status}){said}")
    if status == 404:
        return NotThere("kubernetes", f"has no {kind} (HTTP 404){said}")
    if status == 400:
        return QueryRejected("kubernetes", f"rejects the selector{said}")
    return SourceFailed("kubernetes", f"answered with an error (HTTP {status}){said}")
