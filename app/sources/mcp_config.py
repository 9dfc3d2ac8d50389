"""MCP_SERVERS: which MCP servers there are, which of their tools may be used, and what is refused.

Deny by default: a tool that is not named is not there. A server that is fetched when it starts has a version
that cannot move, no server gets a flag that lets it write, and of our environment it sees the variables that
are named for it, which must begin with `MCP_`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from app.frozen import Frozen
from app.settings import SettingsError

NAME = r"^[a-z][a-z0-9_-]{0,30}$"
TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
VARIABLE = re.compile(r"MCP_[A-Z0-9_]+")
LARGEST_FILE = 256 * 1024

FETCHERS = {"uvx": "==", "pipx": "==", "npx": "@", "bunx": "@", "pnpx": "@"}
"""Programs that fetch what they run, and what stands before a version there."""
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "fish", "env", "cmd", "cmd.exe", "powershell", "pwsh"))
"""What they start cannot be checked."""
CONTAINERS = frozenset(("docker", "podman", "nerdctl"))
EXACT = re.compile(r"\d+(?:\.[0-9A-Za-z+-]+)*")
TAKES_VALUE = frozenset(("--from", "--python", "-p", "--package", "--index", "--spec", "--with"))
WRITES = re.compile(
    r"--?(?:enable|allow|with)[-_]?(?:writes?|write[-_]tools|destructive|mutations?|delete)\b"
    r"|--?(?:no[-_]read[-_]?only|writes?|read[-_]?write|yolo|dangerously[\w-]*)\b"
    r"|--?read[-_]?only[= ](?:false|0|no|off)\b",
    re.IGNORECASE,
)
CHANGING_VERBS = """
create update delete remove add append manage set put post send write edit start stop run exec execute
acknowledge ack resolve snooze merge transition assign move upload trigger restart scale rollback apply patch
invite publish link clone commit push
"""
LOOKING_VERBS = "get list search find read fetch query describe show lookup count convert"
CHANGING, LOOKING = frozenset(CHANGING_VERBS.split()), frozenset(LOOKING_VERBS.split())
"""Verbs in the names of tools; the first of either kind tells what a tool does."""


class Unreadable(SettingsError):
    """MCP_SERVERS cannot be used as it is."""

    code = "mcp_servers"


class McpServer(Frozen):
    """One server: started by `command` (stdio) or found at `url` (streamable HTTP).

    `env` and `headers` name variables of ours, whose values are given to the server; `settings` are values
    that are no secret. `version` is what the server must say of itself, when it is given.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    name: str = Field(pattern=NAME)
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    url: str | None = None
    headers: Mapping[str, str] = {}
    version: str | None = None
    tools: Annotated[tuple[str, ...], Field(min_length=1)]
    deadline_seconds: float = Field(15, gt=0, le=120)

    @field_validator("tools")
    @classmethod
    def _look_only(cls, tools: tuple[str, ...]) -> tuple[str, ...]:
        for tool in tools:
            if not TOOL.fullmatch(tool):
                raise ValueError(f"{tool!r} is not the name of one tool; name each")
            if changes(tool):
                raise ValueError(f"{tool!r} sounds as if it changed something, and tools here only read")
        return tools

    @field_validator("env", "headers")
    @classmethod
    def _named_for_it(cls, names: Mapping[str, str]) -> Mapping[str, str]:
        for given, variable in names.items():
            if not VARIABLE.fullmatch(variable):
                raise ValueError(f"{given} must name a variable that begins with MCP_, not a value")
        return names

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("has either a command or a url")
        if self.command is not None:
            refuse_command(self.command, self.args)
            refuse_settings(self.settings)
        return self


class TicketSearch(Frozen):
    """How open tickets of a service are found: a tool that may be used, and its arguments, in whose texts
    `$service` and `$alert` (the rule's name) stand for those of an incident."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    server: str = Field(pattern=NAME)
    tool: str
    arguments: Mapping[str, str | int | float | bool]

    @field_validator("arguments")
    @classmethod
    def _of_a_service(
        cls, arguments: Mapping[str, str | int | float | bool]
    ) -> Mapping[str, str | int | float | bool]:
        if not any("$service" in str(value) for value in arguments.values()):
            raise ValueError("must have $service in one of them, or all tickets would be found")
        return arguments

    def refuse_unknown(self, servers: Sequence[McpServer]) -> None:
        """Raises:
        ValueError: its tool is not among those that may be used.
        """
        if not any(self.server == each.name and self.tool in each.tools for each in servers):
            raise ValueError(f"{self.server}.{self.tool} is not among the tools that may be used")


@dataclass(frozen=True)
class McpSettings:
    """The servers, the values of the variables they name, and how tickets are found."""

    servers: tuple[McpServer, ...] = ()
    values: Mapping[str, SecretStr] | None = None
    tickets: TicketSearch | None = None

    def value(self, variable: str) -> str:
        return (self.values or {})[variable].get_secret_value()


def load(path: Path, environment: Mapping[str, str]) -> McpSettings:
    """Read the file; `environment` is ours (`app.settings.inherited`).

    Raises:
        Unreadable: with a line for each problem.
    """
    try:
        text = path.read_bytes()[: LARGEST_FILE + 1]
        found = yaml.safe_load(text) if len(text) <= LARGEST_FILE else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise Unreadable([f"MCP_SERVERS: {path} cannot be read ({type(error).__name__})"]) from error
    listed = found.get("servers") if isinstance(found, Mapping) else None
    if not isinstance(listed, Mapping):
        raise Unreadable([f"MCP_SERVERS: {path} has no servers: with a name for each"])
    servers, problems = [], []
    for name, entry in listed.items():
        try:
            servers.append(McpServer.model_validate({**_entry(entry), "name": str(name)}))
        except ValidationError as error:
            problems += [f"MCP_SERVERS: {name}: {_told(fault)}" for fault in error.errors()]
    tickets = None
    if isinstance(found, Mapping) and "tickets" in found:
        try:
            tickets = TicketSearch.model_validate(found["tickets"])
            tickets.refuse_unknown(servers)
        except ValidationError as error:
            problems += [f"MCP_SERVERS: tickets: {_told(fault)}" for fault in error.errors()]
        except ValueError as error:
            problems.append(f"MCP_SERVERS: tickets: {error}")
    variables = {each for server in servers for each in (*server.env.values(), *server.headers.values())}
    problems += [
        f"MCP_SERVERS: {each} is named and not set" for each in sorted(variables - environment.keys())
    ]
    if problems:
        raise Unreadable(problems)
    values = {each: SecretStr(environment[each]) for each in variables}
    return McpSettings(tuple(servers), values, tickets)


def changes(tool: str) -> bool:
    """Whether a tool's name says that it changes something: `add_note_to_incident`, `createPage`."""
    words = re.split(r"[_.-]|(?<=[a-z0-9])(?=[A-Z])", tool)
    verbs = (word.lower() for word in words if word.lower() in CHANGING | LOOKING)
    return next(verbs, "") in CHANGING


def refuse_command(command: str, args: Sequence[str]) -> None:
    """Refuse what writes, what moves, and what cannot be checked.

    Raises:
        ValueError: with the reason.
    """
    program, words = PurePath(command).name, list(args)
    if program in SHELLS:
        raise ValueError(f"{program} starts what cannot be checked; name the server's own program")
    line = " ".join(words)
    if found := WRITES.search(line):
        raise ValueError(f"{found[0]} lets the server write, which no server here may")
    if program in ("uv", "npm", "pnpm", "yarn"):
        raise ValueError(f"{program} may fetch anything; use uvx or npx with an exact version")
    if program in FETCHERS:
        _refuse_moving(program, words)
    if program in CONTAINERS and "@sha256:" not in line:
        raise ValueError(f"the image of {program} must be named by its digest (name@sha256:…)")


def refuse_settings(settings: Mapping[str, str]) -> None:
    """Refuse the same by environment: READ_ONLY_MODE=false, ENABLE_WRITE_TOOLS=true.

    Raises:
        ValueError: with the reason.
    """
    for name, value in settings.items():
        on = str(value).strip().lower() not in ("", "0", "false", "no", "off")
        if re.search(r"read_?only", name, re.I) and not on:
            raise ValueError(f"{name}={value} lets the server write, which no server here may")
        if re.search(r"(?:enable|allow)_?(?:write|destructive|delete)", name, re.I) and on:
            raise ValueError(f"{name}={value} lets the server write, which no server here may")


def _refuse_moving(program: str, words: list[str]) -> None:
    sign = FETCHERS[program]
    fetched = _fetched([word for word in words if word != "run"] if program == "pipx" else words)
    for package in fetched:
        name, found, version = package.rpartition(sign)
        if not (found and name and EXACT.fullmatch(version)):
            raise ValueError(f"{program} would fetch whatever is newest; write {package}{sign}1.2.3")
    if not fetched:
        raise ValueError(f"{program} needs a package with an exact version")


def _fetched(words: list[str]) -> list[str]:
    """The packages a command fetches: after `--from`, `--package`, `--with` …, else its first plain word."""
    found, plain, takes = [], "", ""
    for word in words:
        if takes:
            found += [word] if takes in ("--from", "--package", "--spec", "--with", "-p") else []
            takes = ""
        elif word.startswith("-"):
            flag, equals, value = word.partition("=")
            takes = flag if flag in TAKES_VALUE and not equals else ""
            found += [value] if equals and flag in ("--from", "--package", "--spec", "--with") else []
        else:
            plain = word
            break
    return found or ([plain] if plain else [])


def _entry(entry: Any) -> dict[str, Any]:
    return {str(key): value for key, value in entry.items()} if isinstance(entry, Mapping) else {"": entry}


def _told(fault: Any) -> str:
    place = ".".join(str(each) for each in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
