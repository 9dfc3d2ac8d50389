"""From the markdown of `knowledge/workflows/` to a `Workflow`, or to what has to be repaired, by line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from app.knowledge.models import Fault
from app.knowledge.pages import Page, take_apart
from app.workflows.document import LARGEST_WORKFLOW, MOST_FIELDS, MOST_PHASES, Field, Phase, Workflow
from app.workflows.keys import Keys
from app.workflows.reading_artifacts import ArtifactReader, Made, artifacts_of, template_of
from app.workflows.reading_fields import FieldReader
from app.workflows.sections import Section, prompt, sections

OUR_KEYS = ("title", "triggers", "artifact", "artifacts", "wants", "follow_up_cap", "tiers", "confirm")
LEADING = re.compile(r"^\s*workflow\s*[:–—-]\s*", re.IGNORECASE)
MOST_FOLLOW_UPS = 50


@dataclass(frozen=True)
class Reading:
    """What a file says, as far as it can be read. With an error among `faults` there is no workflow."""

    workflow: Workflow | None
    faults: tuple[Fault, ...] = ()


def read(path: str, text: str, files: Mapping[str, str]) -> Reading:
    """Read one workflow. `files` are the knowledge repo's, for templates, includes and schemas; nothing is
    raised, what is wrong is part of the result."""
    return _Reader(Keys(path, files)).read(text)


@dataclass
class _Reader:
    keys: Keys

    @cached_property
    def fields(self) -> FieldReader:
        return FieldReader(self.keys)

    def read(self, text: str) -> Reading:
        if len(text) > LARGEST_WORKFLOW:
            self.keys.error(1, f"has {len(text):,} characters, a workflow may have {LARGEST_WORKFLOW:,}")
            return self.result(None)
        page = take_apart(text)
        if not page.body.strip() or page.front_matter_flaw:
            return self.result(None)  # told by the rules for all files
        parts = sections(page.body, page.first_line)
        count = sum(part.phase is not None for part in parts)
        if count > MOST_PHASES:
            self.keys.error(parts[-1].line, f"has {count} phases, a workflow may have {MOST_PHASES}")
            return self.result(None)
        if not count:
            self.keys.error(
                page.title_line,
                "has no phases; a phase is a heading that begins with “Phase”, such as `## Phase 1: Scope`",
            )
            return self.result(None)
        return self.result(self.workflow(page, parts))

    def workflow(self, page: Page, parts: Sequence[Section]) -> Workflow:
        front = page.front_matter
        keys = _lines_of_front_matter(page, self.keys.files.get(self.keys.path, ""))
        ours = [key for key in front if key in OUR_KEYS and key != "title"]
        plain = not ours and not any(block.language == "fields" for part in parts for block in part.blocks)
        if ours:
            self.keys.unknown_keys(front, OUR_KEYS, lambda key: keys.get(key, 1))
        title = self.title(page)
        output = self.output(front, parts)
        phases = self.phases(parts, output)
        if len(self.fields.named) > MOST_FIELDS:
            self.keys.error(1, f"has {len(self.fields.named)} fields, a workflow may have {MOST_FIELDS}")
        artifacts = ArtifactReader(self.keys).artifacts(front, keys, Made(title, phases, output, plain))
        return Workflow(
            path=self.keys.path,
            title=title,
            triggers=self.keys.texts(front, "triggers", keys) or (title,),
            phases=phases,
            artifacts=artifacts,
            wants=self.keys.wants(front, keys.get("wants", 1)),
            follow_up_cap=self.keys.whole(
                front, "follow_up_cap", keys.get("follow_up_cap", 1), 0, MOST_FOLLOW_UPS
            ),
            tiers=self.keys.tiers(front, keys.get("tiers", 1)),
            confirm=front.get("confirm") is True,
            guidance="\n\n".join(
                f"## {part.heading}\n{part.prose}".strip() if part.heading else part.prose
                for part in parts
                if part.phase is None and part.prose
            ),
            plain=plain,
        )

    def title(self, page: Page) -> str:
        stem = PurePosixPath(self.keys.path).stem.replace("-", " ").replace("_", " ")
        named = LEADING.sub("", page.title or "").strip()
        return named or stem[:1].upper() + stem[1:]

    def output(self, front: Mapping[str, Any], parts: Sequence[Section]) -> Section | None:
        """The last phase with a fenced template, unless the front matter names files."""
        if any(isinstance(each, dict) and each.get("template") for each in artifacts_of(front)):
            return None
        with_template = [part for part in parts if part.phase is not None and template_of(part)]
        return with_template[-1] if with_template else None

    def phases(self, parts: Sequence[Section], output: Section | None) -> tuple[Phase, ...]:
        found = []
        over = False
        for part in parts:
            if part.phase is None:
                for block in part.blocks:
                    if block.language == "fields":
                        self.keys.error(
                            block.line - 1, "stands outside of a phase; move it below a Phase heading"
                        )
                continue
            if over:
                made_in = output.heading if output else ""
                self.keys.warning(
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
            more, options = self.fields.fields(block)
            fields += more
            said |= options
        line = blocks[0].line if blocks else part.line
        question = None if blocks or is_output else prompt(part.prose)
        if question is not None:
            fields = [self.fields.asked_by(part, question)]
        return Phase(
            name=part.phase,
            prose=part.prose,
            fields=tuple(fields),
            each=self.keys.dotted(said, "each", line),
            item=self.keys.named_item(said, line),
            wants=self.keys.wants(said, line),
            follow_ups=self.keys.whole(said, "follow_ups", line, 0, MOST_FOLLOW_UPS),
            line=part.line,
        )

    def result(self, workflow: Workflow | None) -> Reading:
        broken = any(fault.severity == "error" for fault in self.keys.faults)
        return Reading(None if broken else workflow, tuple(sorted(set(self.keys.faults))))


def _lines_of_front_matter(page: Page, text: str) -> Mapping[str, int]:
    """The line of each key of the front matter."""
    lines = text.split("\n")[: page.first_line - 1]
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if match := re.match(r"([A-Za-z_]+)\s*:", line):
            found.setdefault(match[1], number)
    return found
