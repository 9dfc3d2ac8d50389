"""Backstage's `catalog-info.yaml` files, read as entries of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from app.context.entries import (
    Entry,
    Unusable,
    last_line,
    plain,
    repo,
    service_name,
    tier,
    yaml_fault,
)
from app.context.models import Service
from app.context.names import slug
from app.knowledge.bounded_yaml import compose_all
from app.knowledge.models import Fault
from app.storage.tree import Tree

FILES = ("catalog-info.yaml", "catalog-info.yml")
Entity = dict[str, Any]


class Lines(NamedTuple):
    """Where an entity is written (lines are 1-based)."""

    path: str
    first: int
    last: int


def read_backstage(tree: Tree, faults: list[Fault]) -> list[Entry]:
    """The Components of all Backstage files of a tree, with the APIs they consume as dependencies."""
    entities = [
        (Lines(path, first, last), entity)
        for path, text in tree.under("")
        if PurePosixPath(path).name in FILES
        for first, last, entity in documents(path, text, faults)
    ]
    providers = {
        slug(reference(api)): str(section(entity, "metadata").get("name"))
        for _, entity in entities
        for api in texts(section(entity, "spec").get("providesApis"))
    }
    components = [each for each in entities if each[1].get("kind") == "Component"]
    found = (entry(lines, entity, providers, faults) for lines, entity in components)
    by_name = {slug(each.service.name): each for each in reversed([e for e in found if e])}
    return list(reversed(by_name.values()))


def documents(path: str, text: str, faults: list[Fault]) -> Iterator[tuple[int, int, Entity]]:
    """The entities of a file with their first and last lines; an error ends the file, what came before it
    is kept."""
    try:
        for node in compose_all(text):
            line = node.start_mark.line + 1 if node else 1
            entity = plain(node) if node else None
            if isinstance(entity, dict):
                yield line, last_line(text, node), entity
            elif entity is not None:
                faults.append(Fault(path, line, "error", "is no Backstage entity: it has no `kind`"))
    except Unusable as problem:
        faults.append(Fault(path, 1, "error", f"an entity {problem}"))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        faults.append(yaml_fault(path, error))


def entry(lines: Lines, entity: Entity, providers: dict[str, str], faults: list[Fault]) -> Entry | None:
    path, line = lines.path, lines.first
    metadata, spec = section(entity, "metadata"), section(entity, "spec")
    marks = {**section(metadata, "labels"), **section(metadata, "annotations")}
    try:
        name = service_name(metadata.get("name"))
    except Unusable as problem:
        faults.append(Fault(path, line, "error", f"metadata.name {problem}; the component is left out"))
        return None
    level = None
    try:
        level = tier(mark(marks, "tier"))
    except Unusable as problem:
        faults.append(Fault(path, line, "error", f"the tier of {name} {problem}; it is ignored"))
    address = None
    try:
        address = repo(repository(marks))
    except Unusable as problem:
        faults.append(Fault(path, line, "error", f"the repo of {name}: {problem}; it is ignored"))
    channel = mark(marks, "slack-channel") or mark(marks, "channel")
    dashboards, runbooks = links(metadata, "dashboard"), links(metadata, "runbook")
    aliases = [metadata.get("title"), *(mark(marks, "aliases") or "").split(",")]
    service = Service(
        name=name,
        aliases=tuple(a.strip() for a in aliases if isinstance(a, str) and slug(a) not in ("", slug(name))),
        tier=level,
        team=reference(spec.get("owner")) or None,
        slack_channel=channel.lstrip("#") if channel else None,
        repo=address,
        depends_on=dependencies(spec, providers, name),
        labels={k: v for k, v in section(metadata, "labels").items() if isinstance(v, str)},
        dashboards=dashboards,
        runbooks=runbooks,
        links=tuple(link for link in links(metadata, "") if link not in (*dashboards, *runbooks)),
        declared_in=f"{path}:{line}",
    )
    return Entry(service, path, line, lines.last)


def dependencies(spec: Entity, providers: dict[str, str], name: str) -> tuple[str, ...]:
    """Components depended on, and the providers of consumed APIs; databases and the like are no services."""
    direct = [ref for ref in texts(spec.get("dependsOn")) if ref.partition(":")[0] in (ref, "component")]
    through = [providers.get(slug(reference(api)), "") for api in texts(spec.get("consumesApis"))]
    needed = dict.fromkeys([*map(reference, direct), *through])
    return tuple(each for each in needed if each and each != name)


def repository(marks: Entity) -> str | None:
    """The repo's address from Backstage's well-known annotations."""
    if project := marks.get("github.com/project-slug"):
        return f"https://github.com/{project}"
    if project := marks.get("gitlab.com/project-slug"):
        return f"https://gitlab.com/{project}"
    location = str(marks.get("backstage.io/source-location") or "").removeprefix("url:")
    return location.split("/tree/")[0].split("/blob/")[0].rstrip("/") or None


def links(metadata: Entity, kind: str) -> tuple[str, ...]:
    """The links whose type, icon or title says that they are of this kind; all of them for ""."""
    listed = metadata.get("links")
    return tuple(
        link["url"]
        for link in (listed if isinstance(listed, list) else [])
        if isinstance(link, dict)
        and isinstance(link.get("url"), str)
        and any(kind in str(link.get(field) or "").lower() for field in ("type", "icon", "title"))
    )


def mark(marks: Entity, ending: str) -> str | None:
    """The label or annotation `tier`, `acme.com/tier` and the like."""
    found = (v for k, v in marks.items() if k.rsplit("/", 1)[-1] == ending and isinstance(v, str))
    return next(found, None)


def reference(value: Any) -> str:
    """The name in an entity reference `[kind:][namespace/]name`."""
    return value.rpartition(":")[2].rpartition("/")[2] if isinstance(value, str) else ""


def section(entity: Entity, key: str) -> Entity:
    found = entity.get(key)
    return found if isinstance(found, dict) else {}


def texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
