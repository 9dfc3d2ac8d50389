"""What was changed, as one system tells it, and what kind of change it was by the paths it touched."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from app.signals.models import Change, ChangeKind


@dataclass(frozen=True)
class Changed:
    """`missing` are (system, why) of what should have come with the changes and could not be had."""

    changes: tuple[Change, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


FLAGS = re.compile(
    r"(?:^|/)(?:[\w.-]*[_.-])?(?:feature[_-]?)?(?:flags?|toggles?)(?:[_.-][\w.-]*)?(?:/|$)"
    r"|(?:^|/)(?:launchdarkly|unleash|flagd|flipt|growthbook)\b",
    re.IGNORECASE,
)
DATA = re.compile(r"\.(?:ya?ml|json5?|toml|ini|cfg|conf|properties|env|hcl|tfvars|xml|csv)$", re.IGNORECASE)
CONFIG = re.compile(
    r"(?:^|/)(?:conf|configs?|configuration|settings|env|environments?|config-?maps?)/"
    r"|(?:^|/)(?:[\w-]+[._-])?(?:config|configmap|settings|application|appsettings|values|env)(?:[._-][\w-]+)*"
    r"\.(?:ya?ml|json5?|toml|ini|xml)$"
    r"|\.(?:ini|cfg|conf|properties|env|tfvars)$|(?:^|/)\.env[\w.-]*$",
    re.IGNORECASE,
)
NO_CONFIG = re.compile(
    r"(?:^|/)(?:\.github|\.circleci|\.gitlab|tests?|docs?|examples?|node_modules)/"
    r"|(?:^|/)(?:setup\.cfg|tox\.ini|pytest\.ini|mypy\.ini|\.?[\w-]*eslint[\w.]*|tsconfig[\w.]*\.json)$",
    re.IGNORECASE,
)
"""Settings of what builds and checks a program, not of the program."""
VERSION = re.compile(r"^[+-](?![+-])\s*-?\s*[\"']?(?:image|tag|newTag|newName|digest|version|appVersion|"
                     r"targetRevision)[\"']?\s*[:=]", re.MULTILINE)  # fmt: skip
"""A line of a manifest that names what runs: where one was changed, the change is a deploy."""
NAMES_WHAT_RUNS = re.compile(r"(?:^|/)(?:[\w-]*values[\w.-]*|kustomization|Chart)\.ya?ml$", re.IGNORECASE)


def kind_of(files: Collection[str], diff: str | None, otherwise: ChangeKind) -> ChangeKind:
    """`flag` or `config` of a change that touched nothing else; `otherwise` of all that is not known to.

    A manifest that may name the version that runs tells nothing without its diff.
    """
    if not files or any(NO_CONFIG.search(each) for each in files):
        return otherwise
    if all(FLAGS.search(each) and DATA.search(each) for each in files):
        return "flag"
    if not all(CONFIG.search(each) or (FLAGS.search(each) and DATA.search(each)) for each in files):
        return otherwise
    names_versions = any(NAMES_WHAT_RUNS.search(each) for each in files)
    if VERSION.search(diff) if diff else names_versions:
        return otherwise
    return "config"
