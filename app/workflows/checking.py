"""What can be wrong with workflows: rules for `app.knowledge.checking`, which knows no workflows itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.knowledge.checking import Repo
from app.knowledge.models import Fault
from app.workflows.document import Artifact, Field, Phase, Workflow
from app.workflows.filling import TooLarge, plain, render, within
from app.workflows.in_words import MISSING
from app.workflows.reading import read
from app.workflows.rendering import faults_of, file_name
from app.workflows.templates import Path, Ref, Template
from app.workflows.values import EXAMPLES, Invalid, parse

SAMPLE = "sample"
ALWAYS = ("service", "today", "thread", "started_by")
OF_SERVICE = (
    *("name", "tier", "team", "repo", "slack_channel", "depends_on", "callers"),
    *("runbooks", "dashboards", "blueprint"),
)


def workflows(repo: Repo) -> Iterator[Fault]:
    """Each workflow can be read, names what there is, and can make what its schema wants."""
    started: dict[str, str] = {}
    for path, _ in repo.under("workflows"):
        reading = read(path, repo.tree.files[path], repo.tree.files)
        yield from reading.faults
        if reading.workflow is not None:
            yield from names(reading.workflow)
            yield from walks(reading.workflow)
            yield from samples(reading.workflow)
            for trigger in map(str.casefold, reading.workflow.triggers):
                if trigger in started:
                    yield Fault(path, 1, "warning", f"“{trigger}” starts {started[trigger]} already")
                started.setdefault(trigger, path)


RULES = (workflows,)


# -- names ---------------------------------------------------------------------------------------------------


def names(workflow: Workflow) -> Iterator[Fault]:
    """Placeholders mean something: a field, something wanted, or what is known of the service."""
    fields = {each.name: number for number, phase in enumerate(workflow.phases) for each in phase.fields}
    wants = {*ALWAYS, *workflow.wants, *(want for phase in workflow.phases for want in phase.wants)}
    for number, phase in enumerate(workflow.phases):
        local = frozenset({phase.item} if phase.each else ())
        for each in phase.fields:
            for template in _of_field(each, plain_prompt=workflow.plain):
                for ref in template.refs():
                    yield from _unknown(workflow, ref, fields, wants, local)
                    if fields.get(ref.path[0], -1) > number and len(ref.path) == 1:
                        yield _warn(
                            workflow, ref, f"{ref.path[0]} is asked later than this; it is not known yet"
                        )
    for artifact in workflow.artifacts:
        local = frozenset({artifact.item} if artifact.each else ())
        for ref in _of_artifact(artifact, workflow):
            yield from _unknown(workflow, ref, fields, wants, local)
        for name in artifact.when:
            if name.split(".")[0] not in {*fields, *wants}:
                yield Fault(workflow.path, artifact.line, "warning", f"when names {name}, which is no field")


def _of_field(field: Field, *, plain_prompt: bool) -> Iterator[Template]:
    yield from (each for each in (field.default, field.propose, field.why) if each is not None)
    if not plain_prompt:
        yield field.question


def _of_artifact(artifact: Artifact, workflow: Workflow) -> Iterator[Ref]:
    yield from artifact.file_name.refs()
    yield from artifact.title.refs()
    # Another author's brackets and braces are places for people, too.
    if not workflow.plain:
        yield from artifact.template.refs()


def _unknown(
    workflow: Workflow, ref: Ref, fields: Mapping[str, int], wants: set[str], local: frozenset[str]
) -> Iterator[Fault]:
    first = ref.path[0]
    here = ref.local | local
    if first in here:
        return
    if len(ref.path) == 1 and (first in fields or first in wants or first in OF_SERVICE):
        return
    if len(ref.path) > 1 and first in wants and (first != "service" or ref.path[1] in OF_SERVICE):
        return
    yield _warn(
        workflow, ref, f"{{{{ {'.'.join(ref.path)} }}}} is unknown: no field, and nothing that is wanted"
    )


def _warn(workflow: Workflow, ref: Ref, message: str) -> Fault:
    return Fault(ref.file or workflow.path, ref.line, "warning", message)


# -- phases that are walked ----------------------------------------------------------------------------------


def walks(workflow: Workflow) -> Iterator[Fault]:
    """A phase is walked for a list that is there by then; otherwise it is never reached."""
    lists: set[str] = set()
    known = {*ALWAYS, *workflow.wants}
    for phase in workflow.phases:
        known |= set(phase.wants)
        if phase.each is not None and not _is_list(phase.each, lists, known):
            reason = "is no field of type list that is asked before it, and nothing that is wanted"
            yield Fault(
                workflow.path, phase.line, "error", f"“{phase.name}” is never reached: {phase.each} {reason}"
            )
        if phase.each is None:
            lists |= {each.name for each in phase.fields if each.type == "list"}
        if not phase.fields and not phase.wants and phase is not workflow.phases[-1] and not workflow.plain:
            yield Fault(
                workflow.path, phase.line, "warning", f"“{phase.name}” asks nothing and wants nothing"
            )
    for artifact in workflow.artifacts:
        if artifact.each is not None and not _is_list(artifact.each, lists, known):
            yield Fault(
                workflow.path,
                artifact.line,
                "error",
                f"{artifact.each} is no list, so no artifact is ever made",
            )


def _is_list(path: str, lists: set[str], known: set[str]) -> bool:
    first, _, rest = path.partition(".")
    if not rest:
        return first in lists or first in ("depends_on", "callers", "runbooks", "dashboards")
    return first in known


# -- samples -------------------------------------------------------------------------------------------------


def samples(workflow: Workflow) -> Iterator[Fault]:
    """With an example for every field, the artifact parses and satisfies its schema; examples are valid."""
    fields = {each.name: (phase, each) for phase in workflow.phases for each in phase.fields}
    for _, each in fields.values():
        yield from _example(workflow, each)
    for artifact in workflow.artifacts:
        scope = _sampled(fields, artifact)
        try:
            content = render(artifact.template, scope, marker=lambda path: SAMPLE).text
        except TooLarge as error:
            yield Fault(artifact.path or workflow.path, 1, "error", f"cannot be filled in: {error.sentence}")
            continue
        for fault in faults_of(content, artifact.media_type, artifact.schema, sample=SAMPLE):
            where, line = (artifact.path, 1) if artifact.path else (workflow.path, artifact.line)
            yield Fault(where, line, "warning", f"filled in with examples, {fault}")
        if "." not in file_name(plain(artifact.file_name, scope)):
            yield Fault(workflow.path, artifact.line, "warning", "file_name has no suffix, such as .yaml")


def _example(workflow: Workflow, field: Field) -> Iterator[Fault]:
    if field.example and field.type != "service":
        try:
            parse(field, field.example)
        except Invalid as refused:
            yield Fault(
                workflow.path,
                field.line,
                "error",
                f"the example of {field.name} is not valid: {refused.sentence}",
            )


def _sampled(fields: Mapping[str, tuple[Phase, Field]], artifact: Artifact) -> Any:
    def scope(path: Path) -> Any:
        name = path[0]
        if name in artifact.when:
            return artifact.when[name]
        if name in fields and (len(path) == 1 or path[1].startswith("[")):
            return sample_of(fields[name][1])
        if name in ("tier",) or path == ("service", "tier"):
            return 1
        return MISSING if name not in fields and len(path) == 1 and name not in ALWAYS else SAMPLE

    if artifact.each is not None:
        return within(scope, artifact.item, SAMPLE)
    return scope


def sample_of(field: Field) -> Any:
    """A valid value of a field, to try templates with."""
    if field.choices:
        return [field.choices[0].value] if field.type == "list" else field.choices[0].value
    said: Any = field.example or EXAMPLES[field.type]
    if field.type in ("number", "percent") and not field.example and field.minimum is not None:
        said = field.minimum
    try:
        return parse(field, said)
    except Invalid:
        return SAMPLE
