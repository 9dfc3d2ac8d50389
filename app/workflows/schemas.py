"""JSON schemas of artifacts: read once, kept to themselves, and asked what is wrong with a document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.errors import AgentError
from app.knowledge.bounded_yaml import load_front_matter
from app.knowledge.pages import yaml_problem

LARGEST_SCHEMA = 16_000
"""Characters, which is what the bounded reader of YAML takes."""
MOST_FAULTS = 5
ABOUT_KEYS = frozenset(
    ["required", "additionalProperties", "unevaluatedProperties", "dependentRequired", "propertyNames"]
)


@dataclass(frozen=True)
class Violation:
    """What is wrong with the value `instance`, to which `place` leads; `about_keys` says that keys are
    missing or too many there, and nothing is wrong with what the others hold."""

    said: str
    place: tuple[str | int, ...]
    instance: Any
    about_keys: bool = False


class SchemaBroken(AgentError):
    """A schema cannot be used; `line` is 1-based in its file."""

    code = "schema_broken"

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read_schema(path: str, text: str) -> Mapping[str, Any]:
    """The schema in a file of JSON or YAML.

    Raises:
        SchemaBroken: it is neither, too large, no schema, or refers to something outside of itself.
    """
    if len(text) > LARGEST_SCHEMA:
        raise SchemaBroken(1, f"has {len(text):,} characters, a schema may have {LARGEST_SCHEMA:,}")
    try:
        schema = json.loads(text) if path.endswith(".json") else load_front_matter(text)
    except json.JSONDecodeError as problem:
        raise SchemaBroken(problem.lineno, f"is not valid JSON: {problem.msg}") from problem
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        line, reason = yaml_problem(problem, text)
        raise SchemaBroken(line, f"is not valid YAML: {reason}") from problem
    if not isinstance(schema, dict):
        raise SchemaBroken(1, "is no JSON schema: it has no keys")
    if outside := next((ref for ref in _refs(schema) if not ref.startswith("#")), None):
        raise SchemaBroken(1, f"refers to {outside}; $ref stays within the file and begins with #")
    try:
        validator_for(schema, Draft202012Validator).check_schema(schema)
    except SchemaError as problem:
        raise SchemaBroken(1, f"is no JSON schema: {problem.message}") from problem
    return schema


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _refs(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _refs(each)


def violations(schema: Mapping[str, Any], document: Any, most: int = MOST_FAULTS) -> list[Violation]:
    """What is wrong with a document; the first few."""
    kind = validator_for(schema, Draft202012Validator)
    # An empty registry: nothing is ever fetched.
    validator = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
    try:
        errors = sorted(validator.iter_errors(document), key=lambda error: [str(part) for part in error.path])
    except Unresolvable as problem:
        return [Violation(f"the schema refers to {problem.ref}, which it does not have", (), None)]
    found = []
    for error in errors[:most]:
        place = ".".join(str(part) for part in error.absolute_path) or "the document"
        about_keys = error.validator in ABOUT_KEYS
        said = f"{place}: {error.message[:300]}"
        found.append(Violation(said, tuple(error.absolute_path), error.instance, about_keys))
    return found
