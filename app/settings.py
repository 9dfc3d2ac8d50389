"""Every knob of the program: read from the environment and `.env` here, and nowhere else.

`Settings.load()` validates all groups at once and raises one `SettingsError` that lists every
problem, a line each: the variable, what is wrong with it, an example that would do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import AgentError

HAIKU = "claude-haiku-5-5"
SONNET = "claude-sonnet-5-5"
SHORTEST_CONSOLE_TOKEN = 16

EXAMPLES = {
    "SLACK_BOT_TOKEN": "xoxb-…, from the app's “OAuth & Permissions” page",
    "SLACK_APP_TOKEN": "xapp-…, an app-level token with connections:write",
    "SLACK_SIGNING_SECRET": "32 hexadecimal characters, from the app's “Basic Information” page",
    "SRE_TEAM_SLACK_ID": "S0123ABCD, the id of a Slack user group",
    "INCIDENT_CHANNEL": "C0123ABCD, the id of a channel (not its name)",
    "SLACK_ALLOWED_TEAMS": "T0123ABCD,T0456EFGH",
    "SLACK_ALLOWED_CHANNELS": "C0123ABCD,C0456EFGH",
    "MODEL_PROVIDER": "anthropic, openai, ollama or offline",
    "MODEL": HAIKU,
    "MODEL_STRONG": SONNET,
    "SYSTEM_PROMPT_FILE": "./system-prompt.md",
    "MODEL_SILENCE_SECONDS": "20",
    "MODEL_PATIENCE_SECONDS": "40",
    "MODEL_PRICES": "./prices.yaml",
    "ANTHROPIC_API_KEY": "sk-ant-…",
    "ANTHROPIC_BASE_URL": "https://gateway.example.com",
    "OPENAI_API_KEY": "sk-…",
    "OPENAI_BASE_URL": "https://gateway.example.com/v1",
    "DATABASE_URL": "postgresql://user:password@host:5432/sre_agent",
    "PG_BIN": "/usr/lib/postgresql/18/bin",
    "KNOWLEDGE_REPO_URL": "https://github.com/acme/sre-knowledge.git",
    "KNOWLEDGE_PATH": "./knowledge",
    "BLUEPRINTS_REPO_URL": "https://github.com/acme/blueprints.git",
    "BLUEPRINTS_PATH": "./blueprints",
    "GITHUB_TOKEN": "github_pat_…",
    "PAGERDUTY_WEBHOOK_SECRET": "the secret of the webhook; two, comma-separated, while one is replaced",
    "PAGERDUTY_ALLOWED_SERVICES": "PABC123,checkout",
    "INCIDENTS_DIR": "./incidents",
    "SERVICE_REGISTRY": "checkout|https://checkout.internal|critical,reports",
    "PAGERDUTY_FROM": "sre-agent@acme.com",
    "PAGERDUTY_ESCALATION_POLICY_ID": "PXYZ789",
    "GITHUB_WRITE_TOKEN": "github_pat_…, with contents and pull requests: read and write",
    "NOTION_TOKEN": "ntn_…",
    "NOTION_PARENT_PAGE_ID": "0123456789abcdef0123456789abcdef, the end of the page's address",
    "PROMETHEUS_URL": "https://prometheus.internal",
    "LOKI_URL": "https://loki.internal",
    "TEMPO_URL": "https://tempo.internal",
    "JAEGER_URL": "https://jaeger.internal",
    "ARGOCD_URL": "https://argocd.internal",
    "SOURCES_CA_FILE": "/etc/ssl/acme.pem",
    "KUBERNETES": "in-cluster, ~/.kube/config or off",
    "MCP_SERVERS": "./mcp.yaml",
    "CONSOLE_TOKEN": "the output of `openssl rand -hex 24`",
    "TRUSTED_PROXIES": "10.0.3.7,10.1.0.0/24",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4318",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://tempo:4318/v1/traces",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://prometheus:9090/api/v1/otlp/v1/metrics",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://loki:3100/otlp/v1/logs",
    "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20…",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=production,team=sre",
}
"""What would do, for variables whose default does not show it."""


def _address(value: str) -> str:
    """An HTTP address; its words are not repeated, because it may hold a password."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises when it is no number
    except ValueError as error:
        raise ValueError("is no address") from error
    if parts.scheme not in ("http", "https"):
        raise ValueError("must start with http:// or https://")
    if not parts.hostname or any(each.isspace() for each in value):
        raise ValueError("names no host")
    return value


def _repository(value: str) -> str:
    if not REPOSITORY.fullmatch(value):
        raise ValueError("is no address of a git repository")
    return value


def _file(value: Path) -> Path:
    if not (found := value.expanduser()).is_file():
        raise ValueError(f"{value} is no file")
    return found


def _folder(value: Path) -> Path:
    if not (found := value.expanduser()).is_dir():
        raise ValueError(f"{value} is no folder")
    return found


def _no_file(value: Path) -> Path:
    if (found := value.expanduser()).exists() and not found.is_dir():
        raise ValueError(f"{value} is no folder")
    return found


def _ids(first: str, what: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check(value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not re.fullmatch(f"[{first}][A-Z0-9]+", each):
                raise ValueError(f"{each} is no id of a {what}")
        return value

    return check


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        try:
            network = ip_network(each)
        except ValueError as error:
            raise ValueError(f"{each} is neither an IP address nor a network such as 10.1.0.0/24") from error
        if network.prefixlen == 0:
            raise ValueError(f"{each} is everybody; whom it trusts can be anyone")
    return value


REPOSITORY = re.compile(r"(https?|ssh|git|file)://[^\s]+|[\w.-]+@[\w.-]+:[^\s]+|/[^\s].*", re.ASCII)
"""What git may be given; `app/context/addresses.py` looks at it more closely."""

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
TeamIds = Annotated[CommaSeparated, AfterValidator(_ids("TE", "workspace"))]
ChannelIds = Annotated[CommaSeparated, AfterValidator(_ids("CG", "channel"))]
Networks = Annotated[CommaSeparated, AfterValidator(_networks)]
Address = Annotated[str, AfterValidator(_address)]
Repository = Annotated[str, AfterValidator(_repository)]
File = Annotated[Path, AfterValidator(_file)]
Folder = Annotated[Path, AfterValidator(_folder)]
NewFolder = Annotated[Path, AfterValidator(_no_file)]


class SettingsError(AgentError):
    """The environment cannot be used as it is."""

    code = "settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("These settings need attention:\n" + "\n".join(f"  {line}" for line in problems))
        self.problems = problems


class Group(BaseSettings):
    """The settings of one room; field aliases are the environment variables themselves."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: Any) -> Any:
        if isinstance(value, str) and value and not value.strip():
            # A secret of blanks would be one that anybody can guess.
            raise ValueError("is blank")
        field = cls.model_fields[info.field_name]
        if isinstance(value, str) and field.annotation == tuple[str, ...]:
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


@dataclass(frozen=True)
class RegisteredService:
    """An entry of SERVICE_REGISTRY; `url` is where its `/ops/*` answer."""

    name: str
    url: str | None
    critical: bool


@dataclass(frozen=True)
class Endpoint:
    """A monitored system's API and the proof it wants; `tenant` is sent as X-Scope-OrgID."""

    url: str
    token: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None
    tenant: str | None = None
    ca_file: Path | None = None


def registry_entry(entry: str) -> tuple[str, str, str]:
    name, url, critical = [part.strip() for part in (entry + "||").split("|")[:3]]
    return name, url, critical


class SlackSettings(Group):
    bot_token: SecretStr | None = Field(None, validation_alias="SLACK_BOT_TOKEN")
    app_token: SecretStr | None = Field(None, validation_alias="SLACK_APP_TOKEN")
    signing_secret: SecretStr | None = Field(None, validation_alias="SLACK_SIGNING_SECRET")
    api_url: Address = Field("https://slack.com/api/", validation_alias="SLACK_API_URL")
    sre_team_id: str | None = Field(None, validation_alias="SRE_TEAM_SLACK_ID", pattern=r"^S[A-Z0-9]+$")
    allowed_teams: TeamIds = Field((), validation_alias="SLACK_ALLOWED_TEAMS")
    allowed_channels: ChannelIds = Field((), validation_alias="SLACK_ALLOWED_CHANNELS")
    allow_guests: bool = Field(False, validation_alias="SLACK_ALLOW_GUESTS")
    incident_channel: str | None = Field(
        None, validation_alias="INCIDENT_CHANNEL", pattern=r"^[CG][A-Z0-9]+$"
    )

    @field_validator("api_url")
    @classmethod
    def _trailing_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @property
    def socket_mode(self) -> bool:
        return self.app_token is not None


class ModelSettings(Group):
    provider: Literal["anthropic", "openai", "ollama", "offline"] | None = Field(
        None, validation_alias="MODEL_PROVIDER"
    )
    fast: str | None = Field(None, validation_alias="MODEL")
    strong: str | None = Field(None, validation_alias="MODEL_STRONG")
    max_tokens: int = Field(8192, validation_alias="MODEL_MAX_TOKENS", ge=256)
    system_prompt_file: File | None = Field(None, validation_alias="SYSTEM_PROMPT_FILE")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: Address | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: Address | None = Field(None, validation_alias="OPENAI_BASE_URL")
    ollama_base_url: Address = Field("http://localhost:11434/v1", validation_alias="OLLAMA_BASE_URL")
    prices: File | None = Field(None, validation_alias="MODEL_PRICES")
    silence_seconds: float | None = Field(None, validation_alias="MODEL_SILENCE_SECONDS", gt=0)
    patience_seconds: float | None = Field(None, validation_alias="MODEL_PATIENCE_SECONDS", gt=0)

    @model_validator(mode="after")
    def _provider_has_what_it_needs(self) -> Self:
        if self.provider == "anthropic" and self.anthropic_api_key is None:
            raise ValueError("ANTHROPIC_API_KEY: needed when MODEL_PROVIDER is anthropic")
        if self.provider == "openai" and self.openai_api_key is None and self.openai_base_url is None:
            raise ValueError("OPENAI_API_KEY: needed when MODEL_PROVIDER is openai")
        if self.provider in ("openai", "ollama") and self.fast is None:
            raise ValueError(f"MODEL: needed when MODEL_PROVIDER is {self.provider}; it has no default there")
        return self

    @property
    def chosen(self) -> Literal["anthropic", "openai", "ollama", "offline"]:
        """The provider in force: the one named, else Anthropic when its key is set, else none."""
        return self.provider or ("anthropic" if self.anthropic_api_key else "offline")

    @property
    def longest_silence(self) -> float:
        """In seconds: models at home read a long question for longer, and some think without a word."""
        return self.silence_seconds or (20 if self.chosen == "anthropic" else 60)

    @property
    def patience(self) -> float:
        """How many seconds of waiting for one response are enough: two models may be silent."""
        return self.patience_seconds or 2 * self.longest_silence

    @property
    def fast_name(self) -> str:
        return self.fast or HAIKU

    @property
    def strong_name(self) -> str:
        return self.strong or (SONNET if self.chosen == "anthropic" else self.fast_name)


class StorageSettings(Group):
    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    home: NewFolder = Field(
        Path("~/.local/share/sre-agent"), validation_alias="SRE_AGENT_HOME", validate_default=True
    )
    pg_bin: Folder | None = Field(None, validation_alias="PG_BIN")
    auto_migrate: bool = Field(True, validation_alias="AUTO_MIGRATE")
    audit_retention_days: int = Field(400, validation_alias="AUDIT_RETENTION_DAYS", ge=1)
    transcript_retention_days: int = Field(180, validation_alias="TRANSCRIPT_RETENTION_DAYS", ge=1)
    result_retention_days: int = Field(30, validation_alias="TOOL_RESULT_RETENTION_DAYS", ge=1)

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        try:
            _ = urlsplit(value.get_secret_value()).port if value else None
        except ValueError as error:
            raise ValueError("names a port that is no number") from error
        return value


class GitSettings(Group):
    knowledge_repo_url: Repository | None = Field(None, validation_alias="KNOWLEDGE_REPO_URL")
    knowledge_repo_ref: str = Field("main", validation_alias="KNOWLEDGE_REPO_REF")
    knowledge_path: Folder | None = Field(None, validation_alias="KNOWLEDGE_PATH")
    blueprints_repo_url: Repository | None = Field(None, validation_alias="BLUEPRINTS_REPO_URL")
    blueprints_repo_ref: str = Field("main", validation_alias="BLUEPRINTS_REPO_REF")
    blueprints_path: Folder | None = Field(None, validation_alias="BLUEPRINTS_PATH")
    poll_seconds: float = Field(60, validation_alias="GIT_POLL_SECONDS", gt=0)
    github_token: SecretStr | None = Field(None, validation_alias="GITHUB_TOKEN")
    github_api_url: Address = Field("https://api.github.com", validation_alias="GITHUB_API_URL")
    github_webhook_secret: SecretStr | None = Field(None, validation_alias="GITHUB_WEBHOOK_SECRET")


class AlertSettings(Group):
    pagerduty_secrets: CommaSeparated = Field((), validation_alias="PAGERDUTY_WEBHOOK_SECRET", repr=False)
    pagerduty_allowed_services: CommaSeparated = Field((), validation_alias="PAGERDUTY_ALLOWED_SERVICES")
    grafana_secret: SecretStr | None = Field(None, validation_alias="GRAFANA_WEBHOOK_SECRET")
    token: SecretStr | None = Field(None, validation_alias="ALERT_WEBHOOK_TOKEN")
    most_at_once: int = Field(3, validation_alias="MAX_CONCURRENT_INVESTIGATIONS", ge=1)
    ttl_seconds: float = Field(600, validation_alias="ALERT_QUEUE_TTL_SECONDS", gt=0)
    storm_incidents: int = Field(10, validation_alias="STORM_INCIDENTS", ge=2)
    storm_window_seconds: float = Field(120, validation_alias="STORM_WINDOW_SECONDS", gt=0)
    incidents_dir: NewFolder | None = Field(None, validation_alias="INCIDENTS_DIR")
    registry: CommaSeparated = Field((), validation_alias="SERVICE_REGISTRY")
    ops_token: SecretStr | None = Field(None, validation_alias="SERVICE_OPS_TOKEN")

    @field_validator("registry")
    @classmethod
    def _is_registry(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            name, url, critical = registry_entry(entry)
            if not name or (url and not url.startswith(("http://", "https://"))):
                raise ValueError(f"{entry!r} is not name|url|critical")
            if critical not in ("", "critical"):
                raise ValueError(f"the third part of {entry!r} may only be critical")
        return value

    @property
    def takes_any(self) -> bool:
        """Whether a webhook of any source is on."""
        return bool(self.pagerduty_secrets or self.grafana_secret or self.token)

    @property
    def services(self) -> tuple[RegisteredService, ...]:
        return tuple(
            RegisteredService(name, url or None, critical == "critical")
            for name, url, critical in map(registry_entry, self.registry)
        )


class EscalationSettings(Group):
    pagerduty_api_token: SecretStr | None = Field(None, validation_alias="PAGERDUTY_API_TOKEN")
    pagerduty_api_url: Address = Field("https://api.pagerduty.com", validation_alias="PAGERDUTY_API_URL")
    pagerduty_routing_key: SecretStr | None = Field(None, validation_alias="PAGERDUTY_ROUTING_KEY")
    pagerduty_events_url: Address = Field(
        "https://events.pagerduty.com", validation_alias="PAGERDUTY_EVENTS_URL"
    )
    pagerduty_from: str | None = Field(None, validation_alias="PAGERDUTY_FROM", pattern=r"^[^@\s]+@[^@\s]+$")
    pagerduty_policy_id: str | None = Field(None, validation_alias="PAGERDUTY_ESCALATION_POLICY_ID")


class DeliverySettings(Group):
    """Where finished files may be brought on request; each is off without its token."""

    github_write_token: SecretStr | None = Field(None, validation_alias="GITHUB_WRITE_TOKEN")
    notion_token: SecretStr | None = Field(None, validation_alias="NOTION_TOKEN")
    notion_parent_page_id: str | None = Field(
        None,
        validation_alias="NOTION_PARENT_PAGE_ID",
        pattern=r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$",
    )
    notion_api_url: Address = Field("https://api.notion.com", validation_alias="NOTION_API_URL")


class SourceSettings(Group):
    """Where the monitored systems answer; `endpoint("loki")` is one of them with what it wants to see."""

    prometheus_url: Address | None = Field(None, validation_alias="PROMETHEUS_URL")
    prometheus_token: SecretStr | None = Field(None, validation_alias="PROMETHEUS_TOKEN")
    prometheus_user: str | None = Field(None, validation_alias="PROMETHEUS_USER")
    prometheus_password: SecretStr | None = Field(None, validation_alias="PROMETHEUS_PASSWORD")
    prometheus_tenant: str | None = Field(None, validation_alias="PROMETHEUS_TENANT")
    loki_url: Address | None = Field(None, validation_alias="LOKI_URL")
    loki_token: SecretStr | None = Field(None, validation_alias="LOKI_TOKEN")
    loki_user: str | None = Field(None, validation_alias="LOKI_USER")
    loki_password: SecretStr | None = Field(None, validation_alias="LOKI_PASSWORD")
    loki_tenant: str | None = Field(None, validation_alias="LOKI_TENANT")
    tempo_url: Address | None = Field(None, validation_alias="TEMPO_URL")
    tempo_token: SecretStr | None = Field(None, validation_alias="TEMPO_TOKEN")
    tempo_user: str | None = Field(None, validation_alias="TEMPO_USER")
    tempo_password: SecretStr | None = Field(None, validation_alias="TEMPO_PASSWORD")
    tempo_tenant: str | None = Field(None, validation_alias="TEMPO_TENANT")
    jaeger_url: Address | None = Field(None, validation_alias="JAEGER_URL")
    jaeger_token: SecretStr | None = Field(None, validation_alias="JAEGER_TOKEN")
    jaeger_user: str | None = Field(None, validation_alias="JAEGER_USER")
    jaeger_password: SecretStr | None = Field(None, validation_alias="JAEGER_PASSWORD")
    argocd_url: Address | None = Field(None, validation_alias="ARGOCD_URL")
    argocd_token: SecretStr | None = Field(None, validation_alias="ARGOCD_TOKEN")
    ca_file: File | None = Field(None, validation_alias="SOURCES_CA_FILE")
    deadline_seconds: float = Field(3, gt=0, le=60, validation_alias="SOURCE_DEADLINE_SECONDS")
    kubernetes: str = Field("off", validation_alias="KUBERNETES")
    mcp_servers: File | None = Field(None, validation_alias="MCP_SERVERS")

    @field_validator("prometheus_url", "loki_url", "tempo_url", "jaeger_url", "argocd_url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

    @field_validator("kubernetes")
    @classmethod
    def _is_a_cluster(cls, value: str) -> str:
        return value if value in ("off", "in-cluster") else str(_file(Path(value)))

    def endpoint(self, name: Literal["prometheus", "loki", "tempo", "jaeger", "argocd"]) -> Endpoint | None:
        url = getattr(self, f"{name}_url")
        if url is None:
            return None
        rest = {
            what: getattr(self, f"{name}_{what}", None) for what in ("token", "user", "password", "tenant")
        }
        return Endpoint(url=url, ca_file=self.ca_file, **rest)


class BudgetSettings(Group):
    max_tool_calls: int = Field(8, validation_alias="MAX_TOOL_CALLS", ge=0)
    max_tool_calls_conversation: int = Field(16, validation_alias="MAX_TOOL_CALLS_CONVERSATION", ge=0)
    max_model_turns: int = Field(20, validation_alias="MAX_MODEL_TURNS", ge=1)
    investigation_seconds: float = Field(300, validation_alias="INVESTIGATION_TIMEOUT_SECONDS", gt=0)
    max_tokens_per_incident: int = Field(100_000, validation_alias="MAX_TOKENS_PER_INCIDENT", ge=0)
    max_tokens_per_hour: int = Field(0, validation_alias="MAX_TOKENS_PER_HOUR", ge=0)
    usd_per_run: float = Field(2, validation_alias="COST_LIMIT_PER_RUN_USD", ge=0)
    usd_per_hour: float = Field(20, validation_alias="COST_LIMIT_PER_HOUR_USD", ge=0)
    usd_per_day: float = Field(100, validation_alias="COST_LIMIT_PER_DAY_USD", ge=0)
    compaction_threshold_tokens: int = Field(80_000, validation_alias="COMPACTION_THRESHOLD_TOKENS", ge=1000)
    compaction_keep_recent: int = Field(4, validation_alias="COMPACTION_KEEP_RECENT", ge=1)
    tool_result_bytes: int = Field(4096, validation_alias="TOOL_RESULT_BYTES", ge=256)


class ProcessSettings(Group):
    port: int = Field(8080, validation_alias="PORT", ge=0, le=65535)
    ops_port: int = Field(8081, validation_alias="OPS_PORT", ge=0, le=65535)
    ops_auth_token: SecretStr | None = Field(None, validation_alias="OPS_AUTH_TOKEN")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="LOG_LEVEL")
    worker_concurrency: int = Field(10, validation_alias="WORKER_CONCURRENCY", ge=1)
    shutdown_grace_seconds: float = Field(30, validation_alias="SHUTDOWN_GRACE_SECONDS", gt=0)


class ConsoleSettings(Group):
    """`/console` is off without either: a token to sign in with, or proxies that say who somebody is."""

    token: SecretStr | None = Field(None, validation_alias="CONSOLE_TOKEN")
    trusted_proxies: Networks = Field((), validation_alias="TRUSTED_PROXIES")

    @field_validator("token")
    @classmethod
    def _is_not_guessed(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < SHORTEST_CONSOLE_TOKEN:
            raise ValueError(f"is shorter than {SHORTEST_CONSOLE_TOKEN} characters")
        return value

    @property
    def is_on(self) -> bool:
        return bool(self.token or self.trusted_proxies)


Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")


class TelemetrySettings(Group):
    """Where OpenTelemetry sends what it knows; off without an address. What else `OTEL_*` may say (samplers,
    intervals, certificates), the SDK reads itself: https://opentelemetry.io/docs/specs/otel/configuration/"""

    endpoint: Address | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    traces_endpoint: Address | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    metrics_endpoint: Address | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    logs_endpoint: Address | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
    headers: SecretStr | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    protocol: Literal["http/protobuf"] = Field(
        "http/protobuf", validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    service_name: str = Field("sre-agent", validation_alias="OTEL_SERVICE_NAME")
    resource_attributes: str | None = Field(None, validation_alias="OTEL_RESOURCE_ATTRIBUTES")
    disabled: bool = Field(False, validation_alias="OTEL_SDK_DISABLED")

    @field_validator("protocol", mode="before")
    @classmethod
    def _is_spoken(cls, value: Any) -> Any:
        if value == "grpc":
            raise ValueError(
                "grpc is not spoken here; collectors take http/protobuf too, mostly on port 4318"
            )
        return value

    @property
    def is_on(self) -> bool:
        return any(self.address(each) for each in SIGNALS)

    def address(self, signal: Signal) -> str | None:
        """Where a signal goes: to its own address as it is, else to its path below the common one."""
        if self.disabled:
            return None
        own: str | None = getattr(self, f"{signal}_endpoint")
        return own or (f"{self.endpoint.rstrip('/')}/v1/{signal}" if self.endpoint else None)


GROUPS: dict[str, type[Group]] = {
    "slack": SlackSettings,
    "model": ModelSettings,
    "storage": StorageSettings,
    "git": GitSettings,
    "alerts": AlertSettings,
    "escalation": EscalationSettings,
    "delivery": DeliverySettings,
    "sources": SourceSettings,
    "budgets": BudgetSettings,
    "process": ProcessSettings,
    "console": ConsoleSettings,
    "telemetry": TelemetrySettings,
}


class Settings:
    """All groups, loaded together."""

    slack: SlackSettings
    model: ModelSettings
    storage: StorageSettings
    git: GitSettings
    alerts: AlertSettings
    escalation: EscalationSettings
    delivery: DeliverySettings
    sources: SourceSettings
    budgets: BudgetSettings
    process: ProcessSettings
    console: ConsoleSettings
    telemetry: TelemetrySettings

    @classmethod
    def load(cls, *, env_file: Path | None = Path(".env"), **values: Any) -> Settings:
        """Read the environment and `env_file`; `values`, by variable name, win over both. An empty value
        counts as absent.

        Raises:
            SettingsError: with one line per problem, over all groups.
        """
        settings, problems = cls(), []
        values = {name: value for name, value in values.items() if value != ""}
        for name, group in GROUPS.items():
            try:
                setattr(settings, name, group(_env_file=env_file, **values))
            except ValidationError as error:
                problems += [_problem(item["loc"], item["msg"]) for item in error.errors()]
        if problems:
            raise SettingsError(problems)
        return settings

    def require(self, **needs: str) -> None:
        """Demand variables for a command: `require(SLACK_BOT_TOKEN="to talk to Slack")`.

        Raises:
            SettingsError: naming each variable that is missing and what it is needed for.
        """
        missing = [name for name in needs if self._value(name) is None]
        if missing:
            raise SettingsError([f"{n}: needed {needs[n]}{_example(n)}" for n in missing])

    def _value(self, variable: str) -> Any:
        for name, group in GROUPS.items():
            for field, info in group.model_fields.items():
                if info.validation_alias == variable:
                    return getattr(getattr(self, name), field)
        raise KeyError(variable)


def inherited() -> dict[str, str]:
    """What a child process has from ours as it is: PATH, proxies, certificates, the ssh agent."""
    return dict(os.environ)


def secret_variables() -> frozenset[str]:
    """The variables that hold our secrets: no program of others may see them. Those of MCP servers too."""
    named = {
        str(field.validation_alias)
        for group in Group.__subclasses__()
        for field in group.model_fields.values()
        if not field.repr or SecretStr in get_args(field.annotation)
    }
    return frozenset(named | {name for name in os.environ if name.startswith("MCP_")})


def variables() -> dict[str, FieldInfo]:
    """Every variable with its field."""
    return {str(f.validation_alias): f for g in GROUPS.values() for f in g.model_fields.values()}


def _example(variable: str) -> str:
    """Behind a problem: a value that would do."""
    field = variables()[variable]
    shown = EXAMPLES.get(variable)
    if shown is None and SecretStr in get_args(field.annotation):
        shown = "the token itself, as its service shows it, or a long random text"
    if shown is None and variable.endswith(("_USER", "_TENANT")):
        shown = "sre-agent"
    default = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"; for example {default if shown is None else shown}"


def _problem(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:
        return text + _example(text.split(":", 1)[0])
    variable = str(location[0])
    return f"{variable}: {text[0].lower()}{text[1:]}{_example(variable)}"
