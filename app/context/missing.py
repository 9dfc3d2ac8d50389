"""What no document states about a service, as sentences for the reader."""

from __future__ import annotations

from collections.abc import Iterator

from app.context.blueprints import Blueprints
from app.context.models import Readme, Resolution, Service
from app.knowledge.models import Knowledge

LISTED = 8
HOW_TO_ADD = (
    "A service is added by an entry under `services:` in services.yaml of the blueprints repo, such as "
    "`- {name: my-service, tier: 2, team: my-team, repo: https://github.com/acme/my-service}`."
)


def missing(
    resolution: Resolution, blueprints: Blueprints, knowledge: Knowledge, readme: Readme | None
) -> Iterator[str]:
    """Each gap in one sentence, in a fixed order; `readme` is None when nobody could look for it."""
    if resolution.service is None:
        yield from unknown(resolution, blueprints)
        return
    service = resolution.service
    if blueprints.page(service) is None:
        yield f"{service.name} has no blueprint: services/{service.name}.md does not exist."
    yield from no_readme(service, readme)
    yield from no_tier(service, knowledge)
    yield from no_contracts(service, blueprints)
    for field, listed in (("dashboards", service.dashboards), ("runbooks", service.runbooks)):
        if not listed:
            yield f"{declared_in(service)} names no {field} for {service.name}."


def no_readme(service: Service, readme: Readme | None) -> Iterator[str]:
    if not service.repo:
        yield f"{declared_in(service)} names no repo for {service.name}, so its README and code are unknown."
    elif readme and readme.text is None and readme.notice is None:
        yield f"{service.name} has no README."


def no_tier(service: Service, knowledge: Knowledge) -> Iterator[str]:
    if service.tier is None:
        yield f"No tier is set for {service.name}."
    elif service.tier not in knowledge.tiers:
        yield f"There is no document for tier {service.tier}, which {service.name} is in."


def no_contracts(service: Service, blueprints: Blueprints) -> Iterator[str]:
    needed = blueprints.catalog.depends_on(service.name)
    agreed = {party for contract in blueprints.contracts(service) for party in contract.parties}
    unknown = [name for name in needed if blueprints.catalog.get(name) is None]
    without = [name for name in needed if name not in agreed and name not in unknown]
    if len(without) == 1:
        yield (
            f"There is no contract between {service.name} and {without[0]}, "
            f"although {service.name} depends on it."
        )
    elif without:
        yield (
            f"There are no contracts between {service.name} and {', '.join(without)}, "
            f"although {service.name} depends on them."
        )
    if unknown:
        yield f"{service.name} depends on {', '.join(unknown)}, which the catalog does not know."


def declared_in(service: Service) -> str:
    """The file that declares a service; one that only has a page is declared nowhere."""
    path = service.declared_in.rpartition(":")[0]
    return path if path.endswith((".yaml", ".yml")) else "The catalog"


def unknown(resolution: Resolution, blueprints: Blueprints) -> Iterator[str]:
    """What to say when there is no service: the nearest names, and how to add one."""
    names = [service.name for service in blueprints.catalog]
    if resolution.how == "ambiguous":
        yield f"It is not clear which service is meant: {' or '.join(resolution.candidates)}."
    elif not names:
        yield f"The catalog is empty, so no service is known. {HOW_TO_ADD}"
    else:
        if resolution.candidates:
            near = f"the nearest names are {', '.join(resolution.candidates)}."
        else:
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            near = f"it has {', '.join(names[:LISTED])}{more}."
        yield f"No service of the catalog is named in the question; {near} {HOW_TO_ADD}"
