"""The tool that tells what is known of a service: the catalog's entry, its neighbours, its papers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.context.blueprints import Blueprints
from app.context.catalog import Catalog
from app.context.library import Library
from app.context.models import Service, Source
from app.context.runbooks import Runbook
from app.tools.catalogue import Tool, ToolResult, ToolScope
from app.tools.execute import clip
from app.tools.read_service_file import service_of
from app.tools.runbook_search import RunbookIndex

DESCRIPTION = (
    "What is known of a service: team, tier, channel, repo, what it depends on and what depends on it, "
    "dashboards, runbooks, its contracts, and the head of its blueprint."
)
HEAD_SHARE = 0.5
"""Of what the model reads: the blueprint's head."""


class ServiceContext(BaseModel):
    service: str | None = Field(
        None, max_length=100, description="Name or alias in the catalog; default: the service talked about"
    )


def tool(parts: object) -> Tool[ServiceContext] | None:
    """`parts.blueprints` gives the blueprints in force; without it the catalog alone is told."""
    library, runbooks = getattr(parts, "library", None), getattr(parts, "runbooks", None)
    blueprints = getattr(parts, "blueprints", None)
    if not isinstance(library, Library):
        return None

    async def run(asked: ServiceContext, scope: ToolScope) -> ToolResult:
        service = service_of(asked.service, scope, library)
        index = await runbooks.current() if isinstance(runbooks, RunbookIndex) else None
        pages = tuple(each.runbook for each in index.find(None, service.name)) if index else ()
        facts = [*facts_of(service, library.catalog), *map(_runbook, filter(_is_page, pages))]
        papers = blueprints() if callable(blueprints) else Blueprints()
        return _result(service, facts, papers, scope.limit_bytes)

    return Tool("service_context", DESCRIPTION, ServiceContext, run)


def _result(service: Service, facts: list[str], papers: Blueprints, limit_bytes: int) -> ToolResult:
    contracts = [papers.source("contract", each.path, each.path) for each in papers.contracts(service)]
    lines = [*facts, *(f"contract: {each.path}" for each in contracts)]
    entry, _, _ = service.declared_in.partition(":")
    sources = [Source(kind="catalog", title=f"Catalog entry of {service.name}", path=entry), *contracts]
    if path := papers.page(service):
        head = clip(papers.tree.files[path], int(limit_bytes * HEAD_SHARE))
        lines += ["", f"Head of its blueprint ({path}):", head]
        sources.append(papers.source("blueprint", path, service.name))
    return ToolResult("\n".join(lines), tuple(sources), f"Looked {service.name} up")


def facts_of(service: Service, catalog: Catalog) -> list[str]:
    """The catalog's entry, a line each; what it does not say is named as such where people look for it."""
    told = {
        "service": service.name,
        "also called": ", ".join(service.aliases),
        "tier": str(service.tier or "not said"),
        "team": service.team or "not said",
        "channel": service.slack_channel or "not said",
        "repo": service.repo or "not said",
        "depends on": ", ".join(catalog.depends_on(service.name)) or "nothing that the catalog knows",
        "is needed by": ", ".join(catalog.dependents(service.name)) or "nothing that the catalog knows",
        "labels": ", ".join(f"{name}={value}" for name, value in service.labels.items()),
        "dashboards": ", ".join(service.dashboards),
        "runbooks": ", ".join(service.runbooks),
        "links": ", ".join(service.links),
    }
    return [f"{name}: {value}" for name, value in told.items() if value]


def _is_page(runbook: Runbook) -> bool:
    """Those that are only linked to stand in the catalog's entry already."""
    return bool(runbook.text)


def _runbook(runbook: Runbook) -> str:
    return f"runbook that names it: {runbook.title} ({runbook.url or runbook.path})"
