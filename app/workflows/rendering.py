"""From answers to files: templates filled in, what is missing marked, and what is wrong with the result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from app.knowledge.bounded_yaml import load_documents
from app.knowledge.pages import yaml_problem
from app.workflows.document import Artifact
from app.workflows.filling import STAND_IN, TooLarge, plain, probe, render, within
from app.workflows.finding import answered
from app.workflows.in_words import MISSING, legible, text_of
from app.workflows.schemas import MOST_FAULTS, Violation, violations
from app.workflows.templates import Path, Scope
from app.workflows.view import View

MARKER = re.compile(r"TODO\([^)\n]*\)|\[TODO(?::[^\]\n]*)?\]")
LONGEST_FILE_NAME = 200
STOOD = re.compile(rf"{STAND_IN}\d+x")
COMMENTS = {"application/yaml": "# ", "text/plain": ""}


@dataclass(frozen=True)
class Handed:
    """One file. `todos` are what is open in it, `faults` why it is not valid, each a sentence's worth;
    `repaired` are faults that it had. `filled` is all that placeholders were filled with, as people read
    it."""

    file_name: str
    title: str
    media_type: str
    content: str
    todos: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def base_name(self) -> str:
        return self.file_name.rpartition("/")[2]


def render_artifacts(view: View, mask: Callable[[str], str] = str) -> tuple[Handed, ...]:
    """The files of a workflow, in order; the same for the same answers. `mask` takes secrets out of them."""
    made: list[Handed] = []
    taken: set[str] = set()
    for artifact in view.workflow.artifacts:
        if not wanted(artifact, view):
            continue
        for scope in scopes(artifact, view):
            handed = render_one(artifact, view, scope, mask)
            name = unique(handed.file_name, taken)
            taken.add(name)
            made.append(handed if name == handed.file_name else replace(handed, file_name=name))
    return tuple(made)


def wanted(artifact: Artifact, view: View) -> bool:
    """Whether the answers are those for which it is made; what is not answered yet excludes nothing."""
    for name, value in artifact.when.items():
        found = view.resolve(tuple(name.split(".")))
        if found is not MISSING and text_of(found) != value:
            return False
    return True


def scopes(artifact: Artifact, view: View) -> Iterator[Scope]:
    base = with_blanks(view)
    if artifact.each is None:
        yield base
        return
    path = tuple(artifact.each.split("."))
    for item in view.items(artifact.each):
        yield within(base, artifact.item, item, path)


def with_blanks(view: View) -> Scope:
    """What names mean in a template: a field that may be left out and was is empty, no TODO."""

    def scope(path: Path) -> Any:
        found = view.resolve(path)
        if found is MISSING and path[0] in view.fields and not view.fields[path[0]][1].required:
            return ""
        return found

    return scope


def render_one(artifact: Artifact, view: View, scope: Scope, mask: Callable[[str], str] = str) -> Handed:
    in_markdown = artifact.media_type == "text/markdown"

    def marker(path: Path) -> str:
        return f"[TODO: {named(path)}]" if in_markdown else f"TODO({named(path)})"

    faults: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    try:
        rendered = render(artifact.template, scope, marker=marker)
        content, filled = rendered.text, tuple(map(mask, rendered.filled))
    except TooLarge as error:
        content, faults = "", (error.sentence,)
    if view.workflow.plain:
        content = with_what_no_placeholder_took(content, artifact, view)
    content = mask(content.strip("\n") + "\n")
    faults = faults or faults_of(content, artifact.media_type, artifact.schema)
    if not faults and artifact.media_type == "application/yaml" and not view.workflow.plain:
        faults = moved(content, probe(artifact.template, scope, marker=marker))
    return Handed(
        file_name=file_name(plain(artifact.file_name, scope)),
        title=mask(legible(plain(artifact.title, scope)))[:200] or view.workflow.title,
        media_type=artifact.media_type,
        content=content,
        todos=todos(content),
        faults=faults,
        filled=filled,
        schema=artifact.schema,
    )


def named(path: Path) -> str:
    """`target of pay` for what a template refers to."""
    words = [part[1:-1] if part.startswith("[") else part.replace("_", " ") for part in path]
    return " of ".join(words) if path[-1].startswith("[") else " ".join(words)


def with_what_no_placeholder_took(content: str, artifact: Artifact, view: View) -> str:
    """Another author's template may have no place for an answer; nothing that was said is lost."""
    used = {ref.path[0] for ref in artifact.template.refs()}
    rest = [(slot, value) for slot, value, _ in answered(view) if slot.field.name not in used]
    if not rest or artifact.media_type == "application/json":
        return content
    if artifact.media_type == "text/markdown":
        lines = [f"### {slot.phase.name}\n\n{text_of(value)}\n" for slot, value in rest]
        return content.rstrip() + "\n\n## From the conversation\n\n" + "\n".join(lines)
    mark = COMMENTS.get(artifact.media_type, "# ")
    said = [f"{slot.phase.name}: {' '.join(text_of(value).split())}" for slot, value in rest]
    return content.rstrip() + "\n" + "\n".join(f"{mark}{line}" for line in said)


def todos(content: str) -> tuple[str, ...]:
    """What is open, once each: the words of its markers."""
    found = (re.sub(r"^\W*TODO\W*|\W+$", "", match[0]) for match in MARKER.finditer(content))
    return tuple(dict.fromkeys(each or "unnamed" for each in found))


def file_name(said: str) -> str:
    """A path that stays where it is put: letters, digits, dots and dashes, no step upwards."""
    for _ in range(2):  # what was cut in front may leave a part that begins with a dot
        parts = [re.sub(r"[^A-Za-z0-9._-]+", "-", part).lstrip(".-").rstrip("-") for part in said.split("/")]
        said = "/".join(part for part in parts if part)[-LONGEST_FILE_NAME:]
    return said or "artifact.txt"


def unique(name: str, taken: set[str]) -> str:
    folder, slash, base = name.rpartition("/")
    stem, dot, suffix = base.partition(".")
    number = 2
    while name in taken:
        name = f"{folder}{slash}{stem}-{number}{dot}{suffix}"
        number += 1
    return name


# -- what is wrong -------------------------------------------------------------------------------------------


def faults_of(
    content: str, media_type: str, schema: Mapping[str, Any] | None, *, sample: str | None = None
) -> tuple[str, ...]:
    """Why a file is not valid: it does not parse, or its documents do not satisfy the schema.

    A value that is still a TODO is told as that and not as a fault; `sample` is a text that stands for what
    nobody knows yet.
    """
    try:
        documents = parsed(content, media_type)
    except json.JSONDecodeError as problem:
        return (f"line {problem.lineno} is not valid JSON: {problem.msg}",)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        line, reason = yaml_problem(problem, content)
        return (f"line {line} is not valid YAML: {reason}",)
    return tuple(
        f"document {number}, {each.said}" if len(documents) > 1 else each.said
        for number, each in wrong_in(documents, schema, sample=sample)
    )


def moved(content: str, shape: str) -> tuple[str, ...]:
    """Where a value has become more than a value: a key, an entry, or the end of what stands behind it.

    `shape` is the same file with words of no meaning for values. What holds of that and not of the file, a
    value has changed.
    """
    try:
        before, after = load_documents(shape), load_documents(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        return ()
    place = next(_apart(before, after), None)
    if place is None:
        return ()
    where = ".".join(map(str, place[1:])) or "the document"
    return (f"{where}: what was answered here changes what is around it; the template has to quote it",)


def _apart(shape: Any, real: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(shape, Mapping) and isinstance(real, Mapping):
        if len(shape) != len(real):
            yield place
        for (key, value), (other, found) in zip(shape.items(), real.items(), strict=False):
            yield from _apart(key, other, (*place, other))
            yield from _apart(value, found, (*place, other))
    elif isinstance(shape, list) and isinstance(real, list):
        if len(shape) != len(real):
            yield place
        for number, (value, found) in enumerate(zip(shape, real, strict=False)):
            yield from _apart(value, found, (*place, number))
    elif isinstance(shape, str) and STAND_IN in shape:
        parts = [" ".join(each.split()) for each in (shape.split(STAND_IN)[0], STOOD.split(shape)[-1])]
        said = " ".join(real.split()) if isinstance(real, str) else None
        if isinstance(real, Mapping | list) or (said is not None and not _frames(parts, said)):
            yield place
    elif type(shape) is not type(real):
        yield place


def _frames(parts: Sequence[str], said: str) -> bool:
    return said.startswith(parts[0]) and said.endswith(parts[1])


def wrong_in(
    documents: Sequence[Any],
    schema: Mapping[str, Any] | None,
    *,
    sample: str | None = None,
    most: int = MOST_FAULTS,
) -> Iterator[tuple[int, Violation]]:
    """What in which document (from 1 on) does not satisfy the schema, TODOs aside."""
    if schema is None:
        return
    for number, document in enumerate(documents, 1):
        for each in violations(schema, document, most):
            at = each.instance
            if not (isinstance(at, str) and (MARKER.search(at) or (sample and sample in at))):
                yield number, each


def parsed(content: str, media_type: str) -> list[Any]:
    """The documents of a file of data; none of any other."""
    if media_type == "application/json":
        return [json.loads(content)]
    if media_type == "application/yaml":
        return [each for each in load_documents(content) if each is not None]
    return []
