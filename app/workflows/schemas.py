"""JSON schemas of artifacts: read once, kept to themselves, and asked what is wrong with a document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker, SchemaError, ValidationError
from jsonschema.validators import extend, validator_for
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.errors import AgentError
from app.knowledge.bounded_yaml import load_front_matter
from app.knowledge.pages import yaml_problem

LARGEST_SCHEMA = 16_000
"""Characters, which is what the bounded reader of YAML takes."""
MOST_FAULTS = 5
MOST_STEPS = 30_000
"""Keywords held against values; about a second."""
FORMATS = ("date", "date-time", "time", "email", "ipv4", "ipv6", "uuid")
"""Those that are looked at; others mean nothing, as in most validators."""
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


def read_schema(path: str, text: str) -> dict[str, Any]:
    """The schema in a file of JSON or YAML.

    Raises:
        SchemaBroken: it is neither, too large, no schema, refers to something outside of itself, or has a
        pattern that could take for ever.
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
    try:
        # YAML knows keys and values that JSON does not.
        schema = dict(json.loads(json.dumps(schema, default=str, allow_nan=False)))
        for each in _parts(schema):
            _check_part(each, is_whole=each is schema)
        validator_for(schema, Draft202012Validator).check_schema(schema)
    except SchemaError as problem:
        raise SchemaBroken(1, f"is no JSON schema: {problem.message[:300]}") from problem
    except (TypeError, ValueError, RecursionError) as problem:
        raise SchemaBroken(1, f"is no JSON schema: {problem}") from problem
    return schema


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _parts(each)


def _check_part(part: Mapping[str, Any], *, is_whole: bool) -> None:
    """Raises `SchemaBroken` for what reaches outside of the file, or may take for ever."""
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        ref = part.get(key)
        if isinstance(ref, str) and not ref.startswith("#"):
            raise SchemaBroken(1, f"refers to {ref}; $ref stays within the file and begins with #")
    if "$schema" in part and not is_whole:
        raise SchemaBroken(1, "has a $schema within; only the whole has one")
    named = part.get("patternProperties")
    patterns = list(named) if isinstance(named, dict) else []
    if patterns and "unevaluatedProperties" in part:
        raise SchemaBroken(1, "has patternProperties beside unevaluatedProperties; use additionalProperties")
    for pattern in (*patterns, part.get("pattern")):
        if isinstance(pattern, str):
            _pattern(pattern)


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> SchemaValidator:
    """A regular expression that takes time linear to the text, which Python's own does not."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except PatternError as problem:
        why = str(problem).rpartition("error:")[2].strip() or "it is no regular expression"
        raise SchemaBroken(1, f"has the pattern {pattern[:100]}, which is not read here: {why}") from problem


def violations(schema: Mapping[str, Any], document: Any, most: int = MOST_FAULTS) -> list[Violation]:
    """What is wrong with a document; the first few."""
    kind = _bounded(validator_for(schema, Draft202012Validator))
    whole = {key: value for key, value in schema.items() if key != "$schema"}
    # An empty registry: nothing is ever fetched.
    validator = kind(whole, registry=Registry(), format_checker=_formats(kind.FORMAT_CHECKER))
    try:
        errors = sorted(validator.iter_errors(document), key=lambda error: [str(part) for part in error.path])
    except Unresolvable as problem:
        return [Violation(f"the schema refers to {problem.ref}, which it does not have", (), None)]
    except _TooManySteps:
        return [Violation(f"its schema takes more than {MOST_STEPS:,} steps to check", (), None)]
    except RecursionError:
        return [Violation("its schema goes in a circle, or it is nested too deeply", (), None)]
    except (ArithmeticError, TypeError, ValueError) as problem:
        return [Violation(f"its schema cannot be held against it: {problem}", (), None)]
    found = []
    for error in errors[:most]:
        place = ".".join(str(part) for part in error.absolute_path) or "the document"
        about_keys = error.validator in ABOUT_KEYS
        said = f"{place}: {error.message[:300]}"
        found.append(Violation(said, tuple(error.absolute_path), error.instance, about_keys))
    return found


# -- within bounds -------------------------------------------------------------------------------------------


class _TooManySteps(Exception):
    """References to references, each twice, double with every one of them."""


def _bounded(kind: Any) -> Any:
    """A validator that ends: it counts its steps, and patterns and entries take linear time."""
    steps = 0

    def counted(rule: Callable[..., Any]) -> Callable[..., Any]:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > MOST_STEPS:
                raise _TooManySteps
            return rule(validator, value, instance, schema)

        return check

    rules = {**kind.VALIDATORS}
    rules |= {name: rule for name, rule in OWN_RULES.items() if name in rules}
    return extend(kind, {name: counted(rule) for name, rule in rules.items()})


def _formats(known: FormatChecker) -> FormatChecker:
    bounded = FormatChecker(formats=())
    bounded.checkers = {name: known.checkers[name] for name in FORMATS if name in known.checkers}
    return bounded


def _matches(pattern: str, text: Any) -> bool:
    return _pattern(pattern).isinstance_python(str(text))


def _rule_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _rule_pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for pattern, part in patterns.items():
            for key, value in instance.items():
                if _matches(pattern, key):
                    yield from validator.descend(value, part, path=key, schema_path=pattern)


def _rule_additional(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    extra = [
        key
        for key in instance
        if key not in schema.get("properties", {}) and not any(_matches(each, key) for each in patterns)
    ]
    if validator.is_type(allowed, "object"):
        for key in extra:
            yield from validator.descend(instance[key], allowed, path=key)
    elif not allowed and extra:
        named = ", ".join(repr(each) for each in extra)
        be = "was" if len(extra) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({named} {be} unexpected)")


def _rule_unique(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and validator.is_type(instance, "array"):
        seen = {json.dumps(each, sort_keys=True, default=str) for each in instance}
        if len(seen) < len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")


OWN_RULES: Mapping[str, Callable[..., Any]] = {
    "pattern": _rule_pattern,
    "patternProperties": _rule_pattern_properties,
    "additionalProperties": _rule_additional,
    "uniqueItems": _rule_unique,
}
