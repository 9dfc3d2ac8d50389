"""From the markdown of `knowledge/workflows/` to a `Workflow`, or to what has to be repaired, by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import yaml

from app.knowledge.bounded_yaml import compose, load_front_matter
from app.knowledge.models import Fault, Severity
from app.knowledge.pages import Page, take_apart, yaml_problem
from app.workflows.document import (
    FIELD_TYPES,
    LARGEST_WORKFLOW,
    MOST_FIELDS,
    MOST_PHASES,
    Artifact,
    Choice,
    Field,
    FieldType,
    Phase,
    Workflow,
)
from app.workflows.in_words import seconds, slug, text_of
from app.workflows.schemas import SchemaBroken, read_schema
from app.workflows.sections import Block, Section, prompt, sections
from app.workflows.templates import Syntax, Template, TemplateBroken, parse
from app.workflows.values import LARGEST_NUMBER, Invalid, duration

NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
WANT = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
PATH = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")
OUR_KEYS = ("title", "triggers", "artifact", "artifacts", "wants", "follow_up_cap", "tiers", "confirm")
ARTIFACT_KEYS = ("template", "file_name", "title", "media_type", "schema", "when", "each", "as")
PHASE_KEYS = ("fields", "each", "as", "wants", "follow_ups")
FIELD_KEYS = (
    "name", "question", "type", "choices", "unit", "min", "max", "default", "propose", "required", "why",
    "example", "draft",
)  # fmt: skip
TYPES = {".yaml": "application/yaml", ".yml": "application/yaml", ".json": "application/json"}
TYPES |= {".md": "text/markdown", ".txt": "text/plain"}
SUFFIXES = {"yaml": ".yaml", "yml": ".yaml", "json": ".json", "markdown": ".md", "md": ".md", "": ".md"}
SYNTAX: Mapping[str, Syntax] = {
    "application/yaml": "yaml",
    "application/json": "json",
    "text/markdown": "markdown",
}
LEADING = re.compile(r"^\s*workflow\s*[:–—-]\s*", re.IGNORECASE)
NOTES = "# {title}\n\n{sections}"
MOST_FOLLOW_UPS = 50


@dataclass(frozen=True)
class Reading:
    """What a file says, as far as it can be read. With an error among `faults` there is no workflow."""

    workflow: Workflow | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class _Made:
    """What is read already when the artifact is: title, phases, and the section with its template."""

    title: str
    phases: tuple[Phase, ...]
    output: Section | None
    plain: bool


def read(path: str, text: str, files: Mapping[str, str]) -> Reading:
    """Read one workflow. `files` are the knowledge repo's, for templates, includes and schemas; nothing is
    raised, what is wrong is part of the result."""
    return _Reader(path, files).read(text)


@dataclass
class _Reader:
    path: str
    files: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)
    named: dict[str, int] = field(default_factory=dict)

    def read(self, text: str) -> Reading:
        if len(text) > LARGEST_WORKFLOW:
            self.error(1, f"has {len(text):,} characters, a workflow may have {LARGEST_WORKFLOW:,}")
            return self.result(None)
        page = take_apart(text)
        if not page.body.strip() or page.front_matter_flaw:
            return self.result(None)  # told by the rules for all files
        parts = sections(page.body, page.first_line)
        count = sum(part.phase is not None for part in parts)
        if count > MOST_PHASES:
            self.error(parts[-1].line, f"has {count} phases, a workflow may have {MOST_PHASES}")
            return self.result(None)
        if not count:
            self.error(
                page.title_line,
                "has no phases; a phase is a heading that begins with “Phase”, such as `## Phase 1: Scope`",
            )
            return self.result(None)
        return self.result(self.workflow(page, parts))

    def workflow(self, page: Page, parts: Sequence[Section]) -> Workflow:
        front = page.front_matter
        keys = _lines_of_front_matter(page, self.files.get(self.path, ""))
        ours = [key for key in front if key in OUR_KEYS and key != "title"]
        plain = not ours and not any(block.language == "fields" for part in parts for block in part.blocks)
        if ours:
            self.unknown_keys(front, OUR_KEYS, lambda key: keys.get(key, 1))
        title = self.title(page)
        output = self.output(front, parts)
        phases = self.phases(parts, output)
        if len(self.named) > MOST_FIELDS:
            self.error(1, f"has {len(self.named)} fields, a workflow may have {MOST_FIELDS}")
        artifacts = self.artifacts(front, keys, _Made(title, phases, output, plain))
        return Workflow(
            path=self.path,
            title=title,
            triggers=self.texts(front, "triggers", keys) or (title,),
            phases=phases,
            artifacts=artifacts,
            wants=self.wants(front, keys.get("wants", 1)),
            follow_up_cap=self.whole(
                front, "follow_up_cap", keys.get("follow_up_cap", 1), 0, MOST_FOLLOW_UPS
            ),
            tiers=self.tiers(front, keys.get("tiers", 1)),
            confirm=front.get("confirm") is True,
            guidance="\n\n".join(
                f"## {part.heading}\n{part.prose}".strip() if part.heading else part.prose
                for part in parts
                if part.phase is None and part.prose
            ),
            plain=plain,
        )

    def title(self, page: Page) -> str:
        stem = PurePosixPath(self.path).stem.replace("-", " ").replace("_", " ")
        named = LEADING.sub("", page.title or "").strip()
        return named or stem[:1].upper() + stem[1:]

    # -- phases ----------------------------------------------------------------------------------------------

    def output(self, front: Mapping[str, Any], parts: Sequence[Section]) -> Section | None:
        """The last phase with a fenced template, unless the front matter names files."""
        if any(isinstance(each, dict) and each.get("template") for each in _artifacts_of(front)):
            return None
        with_template = [part for part in parts if part.phase is not None and _template_of(part)]
        return with_template[-1] if with_template else None

    def phases(self, parts: Sequence[Section], output: Section | None) -> tuple[Phase, ...]:
        found = []
        over = False
        for part in parts:
            if part.phase is None:
                for block in part.blocks:
                    if block.language == "fields":
                        self.error(block.line - 1, "stands outside of a phase; move it below a Phase heading")
                continue
            if over:
                made_in = output.heading if output else ""
                self.warning(
                    part.line,
                    f"“{part.heading}” is never reached: the artifact is made in “{made_in}” before it",
                )
                continue
            found.append(self.phase(part, is_output=part is output))
            over = part is output
        return tuple(found)

    def phase(self, part: Section, *, is_output: bool) -> Phase:
        assert part.phase is not None
        blocks = [block for block in part.blocks if block.language == "fields"]
        fields: list[Field] = []
        said: dict[str, Any] = {}
        for block in blocks:
            more, options = self.fields(block)
            fields += more
            said |= options
        line = blocks[0].line if blocks else part.line
        question = None if blocks or is_output else prompt(part.prose)
        if question is not None:
            fields = [self.asked_by(part, question)]
        return Phase(
            name=part.phase,
            prose=part.prose,
            fields=tuple(fields),
            each=self.dotted(said, "each", line),
            item=self.named_item(said, line),
            wants=self.wants(said, line),
            follow_ups=self.whole(said, "follow_ups", line, 0, MOST_FOLLOW_UPS),
            line=part.line,
        )

    def asked_by(self, part: Section, question: str) -> Field:
        """The field of a phase that has only its quoted prompt."""
        name = slug(part.phase).replace("-", "_")[:40].strip("_")
        name = name if NAME.match(name) else f"phase_{name}"[:40]
        while name in self.named:
            name = f"{name[:36]}_{part.line}"
        self.named[name] = part.line
        # What another author wrote in braces is shown as it is where nothing is known of it.
        shown = self.template(question, part.line, loose=True, keep=True)
        return Field(name, shown or Template("", ()), line=part.line)

    def fields(self, block: Block) -> tuple[list[Field], dict[str, Any]]:
        """The fields of a block and what it says of its phase."""
        try:
            said = load_front_matter(block.text)
        except (yaml.YAMLError, ValueError, RecursionError) as problem:
            line, reason = yaml_problem(problem, block.text)
            at = block.text.split("\n")[line - 1 : line]
            if re.search(r"[:-]\s+\{\{", "".join(at)):
                reason = "a value that begins with {{ must stand in quotation marks"
            self.error(block.line + line - 1, f"the fields are not valid YAML: {reason}")
            return [], {}
        lines = _lines_of_entries(block)
        options: dict[str, Any] = {}
        if isinstance(said, dict):
            self.unknown_keys(said, PHASE_KEYS, lambda key: block.line)
            options, said = said, said.get("fields") or []
        if not isinstance(said, list):
            self.error(block.line, "fields are a list; each begins with `- name: …`")
            return [], options
        made = [self.field(each, line) for each, line in zip(said, lines, strict=False)]
        return [each for each in made if each is not None], options

    def field(self, said: Any, line: int) -> Field | None:
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            self.error(line, "this field has no name; it begins with `- name: …`")
            return None
        name = said["name"].strip()
        self.unknown_keys(said, FIELD_KEYS, lambda key: line)
        if not NAME.match(name):
            self.error(line, f"the name “{name[:60]}” is not usable; it is lower case, such as `error_rate`")
            return None
        if name in self.named:
            self.error(line, f"the field {name} is there already, at line {self.named[name]}")
            return None
        self.named[name] = line
        choices = self.choices(said, name, line)
        kind = self.kind(said, name, line, bool(choices))
        if kind == "choice" and not choices:
            self.error(line, f"the field {name} is a choice without choices; add `choices: [one, other]`")
        question = said.get("question")
        if question is None:
            question = f"What is the {name.replace('_', ' ')}?"
        low, high = self.bound(said, "min", kind, line), self.bound(said, "max", kind, line)
        if low is not None and high is not None and low > high:
            self.error(line, f"the field {name} has min above max: nothing would be valid")
        if not isinstance(said.get("required", True), bool):
            self.error(line, f"the field {name} has required: {said['required']}; it is true or false")
        return Field(
            name=name,
            question=self.template(text_of(question), line) or Template("", ()),
            type=kind,
            choices=choices,
            unit=text_of(said.get("unit") or ""),
            minimum=low,
            maximum=high,
            default=self.optional(said, "default", line),
            propose=self.optional(said, "propose", line),
            required=said.get("required", True) is not False,
            why=self.optional(said, "why", line),
            example=text_of(said.get("example") if said.get("example") is not None else ""),
            draft=self.drafted(said, name, kind, line),
            line=line,
        )

    def drafted(self, said: Mapping[str, Any], name: str, kind: FieldType, line: int) -> bool:
        given = said.get("draft", False)
        if not isinstance(given, bool):
            self.error(line, f"the field {name} has draft: {given}; it is true or false")
        elif given and kind != "text":
            self.error(line, f"the field {name} is a {kind}; only a text can be drafted")
        return given is True

    def kind(self, said: Mapping[str, Any], name: str, line: int, has_choices: bool) -> FieldType:
        kind = text_of(said.get("type") or ("choice" if has_choices else "text"))
        kind = {"yes/no": "yes_no", "yes-no": "yes_no", "boolean": "yes_no", "bool": "yes_no"}.get(kind, kind)
        if kind not in FIELD_TYPES:
            near = difflib.get_close_matches(kind, FIELD_TYPES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELD_TYPES)}"
            self.error(line, f"the field {name} has the type {kind}, which there is not; {hint}")
            return "text"
        return kind

    def choices(self, said: Mapping[str, Any], name: str, line: int) -> tuple[Choice, ...]:
        given = said.get("choices")
        if given is None:
            return ()
        pairs: list[tuple[Any, Any]] = []
        if isinstance(given, dict):
            pairs = list(given.items())
        elif isinstance(given, list):
            for each in given:
                pairs += list(each.items()) if isinstance(each, dict) else [(each, each)]
        choices = tuple(Choice(text_of(value), text_of(label)) for value, label in pairs)
        if not choices or len(choices) > 100:
            self.error(line, f"the choices of {name} are a list of 1 to 100")
        if len({each.value for each in choices}) < len(choices):
            self.error(line, f"the choices of {name} are not all different")
        return choices

    def bound(self, said: Mapping[str, Any], key: str, kind: FieldType, line: int) -> float | None:
        given = said.get(key)
        if given is None:
            return None
        if kind == "duration" and isinstance(given, str):
            try:
                return seconds(duration(Field("bound", Template("", ())), given, str))
            except Invalid:
                given = None
        if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= LARGEST_NUMBER:
            self.error(line, f"{key} is a number{', or a duration such as 300ms' * (kind == 'duration')}")
            return None
        return float(given)

    # -- the artifact ----------------------------------------------------------------------------------------

    def artifacts(
        self, front: Mapping[str, Any], keys: Mapping[str, int], made: _Made
    ) -> tuple[Artifact, ...]:
        line = keys.get("artifact", keys.get("artifacts", 1))
        given = _artifacts_of(front)
        if not given:
            return (self.artifact({}, line, made),)
        found = []
        for each in given:
            if not isinstance(each, dict):
                self.error(line, "an artifact is described by keys: " + ", ".join(ARTIFACT_KEYS))
                continue
            self.unknown_keys(each, ARTIFACT_KEYS, lambda key: line)
            found.append(self.artifact(each, line, made))
        return tuple(found)

    def artifact(self, said: Mapping[str, Any], line: int, made: _Made) -> Artifact:
        path, text, suffix, first_line = self.template_text(said, line, made)
        media = text_of(said.get("media_type") or TYPES.get(suffix, "text/plain"))
        name = (
            said.get("file_name")
            or f"{{% if service %}}{{{{ service | slug }}}}-{{% endif %}}{slug(made.title)}{suffix}"
        )
        syntax = SYNTAX.get(media, "text")
        template = self.template(text, first_line, syntax=syntax, loose=made.plain, file=path)
        when = said.get("when") or {}
        if not isinstance(when, dict):
            self.error(line, "when names fields and the values they have: `when: {format: datadog}`")
            when = {}
        return Artifact(
            template=template or Template("", ()),
            path=path,
            file_name=self.template(text_of(name), line) or Template("", ()),
            title=self.template(text_of(said.get("title") or made.title), line) or Template("", ()),
            media_type=media,
            schema=self.schema(said, line),
            when=MappingProxyType({text_of(key): text_of(value) for key, value in when.items()}),
            each=self.dotted(said, "each", line),
            item=self.named_item(said, line),
            line=line,
        )

    def template_text(
        self, said: Mapping[str, Any], line: int, made: _Made
    ) -> tuple[str | None, str, str, int]:
        """The template's file (None: the workflow's own), its text, its suffix, the line it begins at."""
        if path := said.get("template"):
            path = text_of(path)
            if path not in self.files:
                near = difflib.get_close_matches(path, self.files, 1)
                self.error(line, f"there is no template {path}{f'; did you mean {near[0]}?' if near else ''}")
            return path, self.files.get(path, ""), PurePosixPath(path).suffix.lower(), 1
        if made.output is not None and (block := _template_of(made.output)):
            return None, block.text, SUFFIXES.get(block.language, f".{block.language}"), block.line
        asked = "\n\n".join(_notes_of(phase) for phase in made.phases if phase.fields)
        return None, NOTES.format(title=made.title, sections=asked), ".md", line

    def schema(self, said: Mapping[str, Any], line: int) -> Mapping[str, Any] | None:
        if not (path := said.get("schema")):
            return None
        if not isinstance(path, str) or path not in self.files:
            self.error(line, f"there is no schema {path}; it is a file of this repo, in JSON or YAML")
            return None
        try:
            return read_schema(path, self.files[path])
        except SchemaBroken as problem:
            self.faults.append(Fault(path, problem.line, "error", problem.message))
            return None

    # -- small things ----------------------------------------------------------------------------------------

    def template(
        self,
        text: str,
        line: int,
        *,
        syntax: Syntax = "text",
        loose: bool = False,
        keep: bool = False,
        file: str | None = None,
    ) -> Template | None:
        try:
            return parse(
                text, syntax=syntax, loose=loose, keep=keep, files=self.files, file=file, first_line=line
            )
        except TemplateBroken as problem:
            self.faults.append(Fault(problem.path or self.path, problem.line, "error", problem.message))
            return None

    def optional(self, said: Mapping[str, Any], key: str, line: int) -> Template | None:
        given = said.get(key)
        return None if given is None else self.template(text_of(given), line)

    def texts(self, said: Mapping[str, Any], key: str, keys: Mapping[str, int]) -> tuple[str, ...]:
        given = said.get(key)
        if given is None:
            return ()
        listed = given if isinstance(given, list) else [given]
        if any(isinstance(each, dict | list) for each in listed):
            self.error(keys.get(key, 1), f"{key} is a list of words")
            return ()
        return tuple(text_of(each).strip() for each in listed if text_of(each).strip())

    def wants(self, said: Mapping[str, Any], line: int) -> tuple[str, ...]:
        wants = self.texts(said, "wants", {"wants": line})
        for each in wants:
            if not WANT.match(each):
                self.error(line, f"“{each[:60]}” is not something that can be wanted; see docs/workflows.md")
        return tuple(each for each in wants if WANT.match(each))

    def tiers(self, said: Mapping[str, Any], line: int) -> tuple[int, ...]:
        given = said.get("tiers")
        listed = given if isinstance(given, list) else [] if given is None else [given]
        if any(isinstance(each, bool) or each not in (1, 2, 3, 4) for each in listed):
            self.error(line, "tiers are numbers from 1 to 4, such as [1, 2]")
            return ()
        return tuple(listed)

    def whole(self, said: Mapping[str, Any], key: str, line: int, low: int, high: int) -> int | None:
        given = said.get(key)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            self.error(line, f"{key} is a whole number from {low} to {high}")
            return None
        return given

    def dotted(self, said: Mapping[str, Any], key: str, line: int) -> str | None:
        given = said.get(key)
        if given is None:
            return None
        if not isinstance(given, str) or not PATH.match(given):
            self.error(line, f"{key} names a list, such as journeys or service.depends_on")
            return None
        return given

    def named_item(self, said: Mapping[str, Any], line: int) -> str:
        given = said.get("as", "item")
        if not isinstance(given, str) or not NAME.match(given):
            self.error(line, "as is a name in lower case, such as dependency")
            return "item"
        return given

    def unknown_keys(self, said: Mapping[Any, Any], known: Sequence[str], line: Callable[[str], int]) -> None:
        for key in said:
            if key not in known:
                near = difflib.get_close_matches(text_of(key), known, 1, 0.7)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                self.warning(line(text_of(key)), f"{text_of(key)[:60]} is not read here; {hint}")

    def error(self, line: int, message: str) -> None:
        self.fault(line, "error", message)

    def warning(self, line: int, message: str) -> None:
        self.fault(line, "warning", message)

    def fault(self, line: int, severity: Severity, message: str) -> None:
        self.faults.append(Fault(self.path, line, severity, message))

    def result(self, workflow: Workflow | None) -> Reading:
        broken = any(fault.severity == "error" for fault in self.faults)
        return Reading(None if broken else workflow, tuple(sorted(set(self.faults))))


def _artifacts_of(front: Mapping[str, Any]) -> list[Any]:
    given = front.get("artifacts", front.get("artifact"))
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _template_of(part: Section) -> Block | None:
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


def _lines_of_entries(block: Block) -> list[int]:
    """The line of the file at which each field begins."""
    node = compose(block.text)
    if isinstance(node, yaml.MappingNode):
        values = [value for key, value in node.value if getattr(key, "value", None) == "fields"]
        node = values[0] if values else None
    if not isinstance(node, yaml.SequenceNode):
        return []
    return [block.line + each.start_mark.line for each in node.value]


def _lines_of_front_matter(page: Page, text: str) -> Mapping[str, int]:
    """The line of each key of the front matter."""
    lines = text.split("\n")[: page.first_line - 1]
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if match := re.match(r"([A-Za-z_]+)\s*:", line):
            found.setdefault(match[1], number)
    return found
