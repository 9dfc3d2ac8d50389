"""What the environment may hold: every wrong value stops the start with its name, what is wrong, an example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import EXAMPLES, Settings, SettingsError, variables

ENV_EXAMPLE = Path(__file__).parent.parent / ".env.example"


def problems(**values: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        Settings.load(env_file=None, **values)
    return refused.value.problems


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SLACK_API_URL", "slack.com/api", "must start with http"),
        ("SLACK_ALLOWED_CHANNELS", "#general", "#general is no id of a channel"),
        ("SLACK_ALLOWED_CHANNELS", "C0123ABCD,general", "general is no id of a channel"),
        ("SLACK_ALLOWED_TEAMS", "#general", "no id of a workspace"),
        ("INCIDENT_CHANNEL", "#incidents", "pattern"),
        ("SRE_TEAM_SLACK_ID", "@sre", "pattern"),
        ("ANTHROPIC_BASE_URL", "foo", "must start with http"),
        ("OPENAI_BASE_URL", "http://", "names no host"),
        ("OLLAMA_BASE_URL", "localhost:11434", "must start with http"),
        ("OLLAMA_BASE_URL", "http://localhost:port/v1", "is no address"),
        ("GITHUB_API_URL", "ftp://x", "must start with http"),
        ("PAGERDUTY_API_URL", "api.pagerduty.com", "must start with http"),
        ("PROMETHEUS_URL", "https://prometheus internal", "names no host"),
        ("KNOWLEDGE_PATH", "/nonexistent", "/nonexistent is no folder"),
        ("BLUEPRINTS_PATH", "/nonexistent", "/nonexistent is no folder"),
        ("SYSTEM_PROMPT_FILE", "/nonexistent", "is no file"),
        ("MODEL_PRICES", "/", "/ is no file"),
        ("MCP_SERVERS", "/none", "is no file"),
        ("SOURCES_CA_FILE", "/none", "/none is no file"),
        ("KUBERNETES", "in cluster", "in cluster is no file"),
        ("PG_BIN", "/none", "is no folder"),
        ("SRE_AGENT_HOME", "/etc/passwd", "is no folder"),
        ("INCIDENTS_DIR", "/etc/passwd", "is no folder"),
        ("KNOWLEDGE_REPO_URL", "acme/knowledge", "no address of a git repository"),
        ("BLUEPRINTS_REPO_URL", "not a url", "no address of a git repository"),
        ("BLUEPRINTS_REPO_URL", "ext::sh -c x", "no address of a git repository"),
        ("DATABASE_URL", "mysql://x", "must start with postgresql://"),
        ("DATABASE_URL", "postgresql://u:p@host:port/db", "a port that is no number"),
        ("GIT_POLL_SECONDS", "inf", "finite number"),
        ("SHUTDOWN_GRACE_SECONDS", "nan", "finite number"),
        ("COST_LIMIT_PER_DAY_USD", "inf", "finite number"),
        ("PORT", "70000", "65535"),
        ("LOG_LEVEL", "loud", "'DEBUG'"),
        ("AUTO_MIGRATE", "perhaps", "boolean"),
        ("SERVICE_REGISTRY", "checkout|ftp://x", "is not name|url|critical"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "collectors take http/protobuf too"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "'http/protobuf'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_wrong_and_an_example(
    variable: str, value: str, said: str
) -> None:
    [line] = problems(**{variable: value})
    assert line.startswith(f"{variable}: ")
    assert said in line
    assert "; for example " in line


@pytest.mark.parametrize("variable", variables())
def test_every_problem_line_has_an_example(variable: str) -> None:
    [line] = problems(**{variable: "   "})
    assert re.fullmatch(rf"{variable}: is blank; for example \S.*", line)
    assert "None" not in line


@pytest.mark.parametrize(
    ("values", "variable"),
    [
        ({"MODEL_PROVIDER": "anthropic"}, "ANTHROPIC_API_KEY"),
        ({"MODEL_PROVIDER": "openai", "MODEL": "x"}, "OPENAI_API_KEY"),
        ({"MODEL_PROVIDER": "ollama"}, "MODEL"),
    ],
)
def test_what_a_provider_needs_is_named_with_an_example(values: dict[str, str], variable: str) -> None:
    [line] = problems(**values)
    assert line.startswith(f"{variable}: needed when MODEL_PROVIDER is ")
    assert "; for example " in line


def test_all_problems_are_told_at_once() -> None:
    told = problems(SLACK_API_URL="x", GIT_POLL_SECONDS="inf", PORT="x", KNOWLEDGE_PATH="/none")
    assert [line.partition(":")[0] for line in told] == [
        "SLACK_API_URL",
        "KNOWLEDGE_PATH",
        "GIT_POLL_SECONDS",
        "PORT",
    ]


def test_no_password_of_an_address_is_repeated() -> None:
    [line] = problems(PROMETHEUS_URL="https://user:hunter2@/x")
    assert "hunter2" not in line
    [line] = problems(DATABASE_URL="postgresql://user:hunter2@host:x/db")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/blueprints.git",
        "https://user:secret@git.acme.io/acme/blueprints",
        "ssh://git@git.acme.io:7999/acme/blueprints.git",
        "git@github.com:acme/blueprints.git",
        "file:///srv/git/blueprints",
        "/srv/git/with a space",
    ],
)
def test_addresses_of_repositories_are_taken(url: str) -> None:
    assert Settings.load(env_file=None, BLUEPRINTS_REPO_URL=url).git.blueprints_repo_url == url


def test_ids_and_folders_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "knowledge").mkdir()
    settings = Settings.load(
        env_file=None,
        SLACK_ALLOWED_CHANNELS="C0123ABCD, G0456EFGH",
        SLACK_ALLOWED_TEAMS="T0123ABCD,E0GRID",
        KNOWLEDGE_PATH="~/knowledge",
        INCIDENTS_DIR="~/incidents",
    )
    assert settings.slack.allowed_channels == ("C0123ABCD", "G0456EFGH")
    assert settings.slack.allowed_teams == ("T0123ABCD", "E0GRID")
    assert settings.git.knowledge_path == tmp_path / "knowledge"
    assert settings.alerts.incidents_dir == tmp_path / "incidents"


def test_the_examples_are_those_of_env_example() -> None:
    shown = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", ENV_EXAMPLE.read_text("utf-8"), re.M))
    assert set(shown) == set(variables())
    for variable, example in EXAMPLES.items():
        if variable.endswith(("_URL", "_PATH", "_FILE", "_DIR", "_BIN")):
            assert example == shown[variable], variable
