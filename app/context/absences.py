"""What the documents do not say, and what a reader must know of the copies: sentences beside the sections."""

from __future__ import annotations

from collections.abc import Iterator

from app.context.blueprints import Blueprints
from app.context.models import Readme, Resolution, Service
from app.knowledge.models import Knowledge

LISTED = 8
HOW_TO_ADD = "To add one, declare it in services.yaml of the blueprints repo (name, tier, team, repo)."


def missing(
    resolution: Resolution, blueprints: Blueprints, knowledge: Knowledge | None, readme: Readme | None
) -> Iterator[str]:
    """What no document states."""
    service = resolution.service
    if service is None:
        yield unknown(resolution, blueprints)
        return
    if blueprints.page(service) is None:
        yield f"{service.name} has no blueprint (services/{service.name}.md in the blueprints repo)."
    yield from missing_tier(service, knowledge)
    if not service.repo:
        yield f"The catalog names no repository of {service.name}."
    elif (readme is None or readme.text is None) and not (readme and readme.notice):
        yield f"{service.name} has no README."
    yield from missing_contracts(service, blueprints)


def missing_tier(service: Service, knowledge: Knowledge | None) -> Iterator[str]:
    if service.tier is None:
        yield f"The tier of {service.name} is unknown: the catalog does not name one."
    elif knowledge is not None and service.tier not in knowledge.tiers:
        page = f"tiers/tier-{service.tier}.md"
        yield f"{service.name} is tier {service.tier}, but the knowledge repo has no {page}."


def missing_contracts(service: Service, blueprints: Blueprints) -> Iterator[str]:
    catalog = blueprints.catalog
    agreed = {party for contract in blueprints.contracts(service) for party in contract.parties}
    for needed in catalog.depends_on(service.name):
        if catalog.get(needed) is None:
            yield f"{service.name} depends on {needed}, which the catalog does not declare."
        elif needed not in agreed:
            yield f"There is no contract with {needed} although {service.name} depends on it."


def unknown(resolution: Resolution, blueprints: Blueprints) -> str:
    """What to say when there is no service: who may be meant, or the nearest names and how to add one."""
    names = [service.name for service in blueprints.catalog]
    if resolution.how == "ambiguous":
        return f"It is not clear which service is meant: {' or '.join(resolution.candidates)}?"
    if not names:
        return f"The catalog is empty, so no service is known. {HOW_TO_ADD}"
    if resolution.candidates:
        near = f"The nearest names are {', '.join(resolution.candidates)}."
    else:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        near = f"The catalog has {', '.join(names[:LISTED])}{more}."
    return f"No service of the catalog is named. {near} {HOW_TO_ADD}"


def notices(
    resolution: Resolution, blueprints: Blueprints, knowledge: Knowledge | None, readme: Readme | None
) -> Iterator[str]:
    """What was taken for granted, and which copies are not the newest."""
    if (service := resolution.service) is not None:
        others = [name for name in resolution.candidates if name != service.name]
        if resolution.how == "typo":
            yield f"No service has exactly the name you wrote; this is about {service.name}."
        elif others:
            yield f"This is about {service.name}; if you meant {' or '.join(others)}, name it alone."
    copies = (blueprints.tree, knowledge, readme)
    yield from (copy.notice for copy in copies if copy is not None and copy.notice)
