"""The clients of the systems that are configured; what is not is None, and is not offered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.settings import AlertSettings, Endpoint, EscalationSettings, GitSettings, SourceSettings, inherited
from app.sources import mcp_config
from app.sources.argocd import ArgoCd
from app.sources.github_changes import GitHubChanges
from app.sources.jaeger import Jaeger
from app.sources.kubernetes import KubernetesReader
from app.sources.loki import Loki
from app.sources.mcp import McpServers
from app.sources.ops import OpsEndpoints
from app.sources.pagerduty import PagerDutyReader
from app.sources.prometheus import Prometheus
from app.sources.tempo import Tempo
from app.sources.traces import Traces

Known = Callable[[str], str | None]


@dataclass(frozen=True)
class Clients:
    """One client a system; all of them can only read."""

    prometheus: Prometheus | None = None
    loki: Loki | None = None
    traces: Traces | None = None
    argocd: ArgoCd | None = None
    github_changes: GitHubChanges | None = None
    kubernetes: KubernetesReader | None = None
    pagerduty: PagerDutyReader | None = None
    ops: OpsEndpoints | None = None
    mcp: McpServers | None = None

    @classmethod
    def of(
        cls,
        sources: SourceSettings,
        git: GitSettings,
        alerts: AlertSettings,
        escalation: EscalationSettings,
        *,
        known: Known,
    ) -> Clients:
        """`known` gives the catalog's name for a name or alias, None when it has none."""
        prometheus, loki, tempo, jaeger, argocd = (
            sources.endpoint(name) for name in ("prometheus", "loki", "tempo", "jaeger", "argocd")
        )
        token = escalation.pagerduty_api_token
        return cls(
            prometheus=Prometheus(prometheus) if prometheus else None,
            loki=Loki(loki) if loki else None,
            traces=Tempo(tempo) if tempo else Jaeger(jaeger) if jaeger else None,
            argocd=ArgoCd(argocd, known=known) if argocd else None,
            github_changes=GitHubChanges(Endpoint(git.github_api_url, git.github_token))
            if git.github_token
            else None,
            kubernetes=KubernetesReader(sources.kubernetes) if sources.kubernetes != "off" else None,
            pagerduty=PagerDutyReader(Endpoint(escalation.pagerduty_api_url, token)) if token else None,
            ops=OpsEndpoints(alerts.services, alerts.ops_token, ca_file=sources.ca_file)
            if alerts.services
            else None,
            mcp=McpServers(mcp_config.load(sources.mcp_servers, inherited()))
            if sources.mcp_servers
            else None,
        )

    def clock_notices(self) -> Iterator[tuple[str, str]]:
        """The systems whose clock is off, each with the sentence that says so."""
        for name in ("prometheus", "loki", "traces"):
            client: Any = getattr(self, name)
            if client is not None and (notice := client.clock_notice()):
                yield name, notice

    def mcp_gaps(self) -> tuple[tuple[str, str], ...]:
        """The MCP servers that were asked and cannot be used, each with the reason."""
        return self.mcp.gaps() if self.mcp else ()

    async def aclose(self) -> None:
        every: list[Any] = [each for each in vars(self).values() if each is not None]
        await asyncio.gather(*(each.aclose() for each in every), return_exceptions=True)
