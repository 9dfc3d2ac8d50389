"""The files that a workflow hands over as `Artifact`s: template, name, media type, schema."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from app.knowledge.models import Fault
from app.workflows.document import Artifact, Phase
from app.workflows.in_words import slug, text_of
from app.workflows.keys import Keys
from app.workflows.schemas import SchemaBroken, read_schema
from app.workflows.sections import Block, Section
from app.workflows.templates import Syntax, Template

ARTIFACT_KEYS = ("template", "file_name", "title", "media_type", "schema", "when", "each", "as")
TYPES = {".yaml": "application/yaml", ".yml": "application/yaml", ".json": "application/json"}
TYPES |= {".md": "text/markdown", ".txt": "text/plain"}
SUFFIXES = {"yaml": ".yaml", "yml": ".yaml", "json": ".json", "markdown": ".md", "md": ".md", "": ".md"}
SYNTAX: Mapping[str, Syntax] = {
    "application/yaml": "yaml",
    "application/json": "json",
    "text/markdown": "markdown",
}
NOTES = "# {title}\n\n{sections}"


@dataclass(frozen=True)
class Made:
    """What is read already when the artifact is: title, phases, and the section with its template."""

    title: str
    phases: tuple[Phase, ...]
    output: Section | None
    plain: bool


@dataclass(frozen=True)
class ArtifactReader:
    keys: Keys

    def artifacts(
        self, front: Mapping[str, Any], keys: Mapping[str, int], made: Made
    ) -> tuple[Artifact, ...]:
        line = keys.get("artifact", keys.get("artifacts", 1))
        given = artifacts_of(front)
        if not given:
            return (self.artifact({}, line, made),)
        found = []
        for each in given:
            if not isinstance(each, dict):
                self.keys.error(line, "an artifact is described by keys: " + ", ".join(ARTIFACT_KEYS))
                continue
            self.keys.unknown_keys(each, ARTIFACT_KEYS, lambda key: line)
            found.append(self.artifact(each, line, made))
        return tuple(found)

    def artifact(self, said: Mapping[str, Any], line: int, made: Made) -> Artifact:
        path, text, suffix, first_line = self.template_text(said, line, made)
        media = text_of(said.get("media_type") or TYPES.get(suffix, "text/plain"))
        name = (
            said.get("file_name")
            or f"{{% if service %}}{{{{ service | slug }}}}-{{% endif %}}{slug(made.title)}{suffix}"
        )
        syntax = SYNTAX.get(media, "text")
        template = self.keys.template(text, first_line, syntax=syntax, loose=made.plain, file=path)
        when = said.get("when") or {}
        if not isinstance(when, dict):
            self.keys.error(line, "when names fields and the values they have: `when: {format: datadog}`")
            when = {}
        return Artifact(
            template=template or Template("", ()),
            path=path,
            file_name=self.keys.template(text_of(name), line) or Template("", ()),
            title=self.keys.template(text_of(said.get("title") or made.title), line) or Template("", ()),
            media_type=media,
            schema=self.schema(said, line),
            when=MappingProxyType({text_of(key): text_of(value) for key, value in when.items()}),
            each=self.keys.dotted(said, "each", line),
            item=self.keys.named_item(said, line),
            line=line,
        )

    def template_text(
        self, said: Mapping[str, Any], line: int, made: Made
    ) -> tuple[str | None, str, str, int]:
        """The template's file (None: the workflow's own), its text, its suffix, the line it begins at."""
        if path := said.get("template"):
            path = text_of(path)
            if path not in self.keys.files:
                near = difflib.get_close_matches(path, self.keys.files, 1)
                self.keys.error(
                    line, f"there is no template {path}{f'; did you mean {near[0]}?' if near else ''}"
                )
            return path, self.keys.files.get(path, ""), PurePosixPath(path).suffix.lower(), 1
        if made.output is not None and (block := template_of(made.output)):
            return None, block.text, SUFFIXES.get(block.language, f".{block.language}"), block.line
        asked = "\n\n".join(_notes_of(phase) for phase in made.phases if phase.fields)
        return None, NOTES.format(title=made.title, sections=asked), ".md", line

    def schema(self, said: Mapping[str, Any], line: int) -> Mapping[str, Any] | None:
        if not (path := said.get("schema")):
            return None
        if not isinstance(path, str) or path not in self.keys.files:
            self.keys.error(line, f"there is no schema {path}; it is a file of this repo, in JSON or YAML")
            return None
        try:
            return read_schema(path, self.keys.files[path])
        except SchemaBroken as problem:
            self.keys.faults.append(Fault(path, problem.line, "error", problem.message))
            return None


def artifacts_of(front: Mapping[str, Any]) -> list[Any]:
    given = front.get("artifacts", front.get("artifact"))
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def template_of(part: Section) -> Block | None:
    """The longest fenced block of a phase that is not our own notation."""
    blocks = [block for block in part.blocks if block.language != "fields" and block.text.strip()]
    return max(blocks, key=lambda block: len(block.text), default=None)


def _notes_of(phase: Phase) -> str:
    """What a phase has learned, for a workflow without a template."""
    lines = [f"- **{each.label}:** {{{{ {each.name} }}}}" for each in phase.fields]
    if phase.each is None:
        only = phase.fields[0]
        said = f"{{{{ {only.name} }}}}" if len(phase.fields) == 1 else "\n".join(lines)
        return f"## {phase.name}\n\n{said}"
    body = "\n".join(lines)
    return (
        f"## {phase.name}\n\n{{% for {phase.item} in {phase.each} %}}\n"
        f"### {{{{ {phase.item} }}}}\n\n{body}\n\n{{% endfor %}}"
    )
