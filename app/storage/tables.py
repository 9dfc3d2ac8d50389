"""The tables, as SQLAlchemy Core objects: what `migrations/` builds and every repository queries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

TURN_STATUSES = ("queued", "running", "done", "failed", "cancelled", "expired")
INVESTIGATION_STATUSES = (
    "queued",
    "looking",
    "looked",
    "diagnosing",
    "done",
    "failed",
    "cancelled",
    "expired",
    "joined",
)


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _now(name: str = "created_at") -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _session(*, nullable: bool) -> Column[int]:
    return Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=nullable)


def _turn(*, nullable: bool = False, primary_key: bool = False) -> Column[UUID]:
    reference = ForeignKey("turns.id", ondelete="CASCADE")
    return Column("turn_id", reference, nullable=nullable, primary_key=primary_key)


sessions = Table(
    "sessions",
    metadata,
    _id(),
    Column("team_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("thread_ts", Text, nullable=False),
    # `service:<name>` for an incident's thread; null: its turns are serialised on the session itself.
    Column("lock_key", Text),
    Column("service_name", Text),
    Column("workflow", Text),
    Column("workflow_state", JSONB),
    Column("context_refs", JSONB),
    Column("knowledge_revision", Text),
    _now(),
    _now("updated_at"),
    UniqueConstraint("team_id", "channel_id", "thread_ts"),
    Index(None, "created_at"),
)

turns = Table(
    "turns",
    metadata,
    Column("id", Uuid, primary_key=True),
    _session(nullable=False),
    # What makes a second delivery the same turn: `slack:<team>:<channel>:<ts>`.
    Column("source_key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("user_id", Text, nullable=False),
    # The message that asked: the one that gets 👀 and ✅.
    Column("message_ts", Text),
    Column("question", Text, nullable=False),
    # What the listener knew and the worker needs: truncation, attachments, who and from which team.
    Column("envelope", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("job_id", BigInteger),
    # Who pressed Stop; a worker that takes the turn over honours it too.
    Column("stopped_by", Text),
    Column("reply_state", JSONB),
    Column("answer", JSONB),
    Column("error_code", Text),
    Column("trace_id", Text, nullable=False),
    _now(),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('" + "', '".join(TURN_STATUSES) + "')", name="status"),
    Index(None, "session_id", "created_at"),
    # What was lately, over all sessions.
    Index(None, "created_at"),
    Index("ix_turns_failed", "created_at", postgresql_where=text("error_code IS NOT NULL")),
)

# Messages that became no turn, for minutes: replies in threads that were not known (a mention may yet make
# them ours), and messages whose writer was told that they are not answered. No words and no names.
sightings = Table(
    "sightings",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("team_id", Text, primary_key=True),
    Column("channel_id", Text, primary_key=True),
    Column("thread_ts", Text, primary_key=True),
    Column("message_ts", Text, primary_key=True),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('overheard', 'refused')", name="kind"),
    Index(None, "forget_at"),
)

messages = Table(
    "messages",
    metadata,
    _id(),
    _session(nullable=False),
    _turn(nullable=False),
    Column("attempt", Integer, nullable=False),
    # `question`, `model` (a request or response of the loop), `summary` (a compaction up to here).
    Column("kind", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    # Of a summary: the id of the last message it stands for.
    Column("through_id", BigInteger),
    _now(),
    Index(None, "session_id", "id"),
    Index(None, "turn_id", "id"),
    Index("ix_messages_summaries", "session_id", "id", postgresql_where=text("kind = 'summary'")),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    _id(),
    _session(nullable=False),
    _turn(nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", JSONB, nullable=False),
    Column("result", Text),
    # What `result` was cut from, for a time; '' once it was let go.
    Column("result_full", Text),
    Column("sources", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("failed", Boolean),
    Column("duration_ms", Integer),
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    UniqueConstraint("turn_id", "call_id"),
    Index(None, "session_id", "id"),
    Index("ix_tool_calls_whole", "started_at", postgresql_where=text("result_full <> ''")),
)

audit_log = Table(
    "audit_log",
    metadata,
    _id(),
    Column("thread_ts", Text),
    Column("channel_id", Text),
    Column("user_id", Text),
    Column("action", Text, nullable=False),
    Column("service_name", Text),
    Column("workflow", Text),
    Column("input_text", Text),
    Column("response_text", Text),
    Column("confidence", Double),
    Column("sre_tagged", Boolean, nullable=False, server_default=text("false")),
    Column("context_used", JSONB),
    Column("knowledge_revision", Text),
    Column("trace_id", Text),
    _now(),
    CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
    Index(None, "channel_id", "thread_ts"),
    Index(None, "created_at", "id"),
    Index(None, "user_id", "created_at", "id"),
    Index(None, "service_name", "created_at", "id"),
    Index(None, "action", "created_at", "id"),
)

incidents = Table(
    "incidents",
    metadata,
    _id(),
    Column("source", Text, nullable=False),
    Column("incident_key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("service_name", Text),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="open"),
    Column("alert", JSONB, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("acknowledged_at", DateTime(timezone=True)),
    Column("resolved_at", DateTime(timezone=True)),
    # Several sources may tell of one thing: then their incidents share an investigation.
    # They go with it: an incident without one would be open and looked into by nobody.
    Column("investigation_id", ForeignKey("investigations.id", ondelete="CASCADE", use_alter=True)),
    Column("joined_because", Text),
    # What it is a symptom of, in words by which another source's alert is known to say the same.
    Column("symptom", Text, nullable=False, server_default=""),
    # Digests of the alerts taken, the newest last: one that is delivered again is known by its digest.
    Column("deliveries", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("fires", Integer, nullable=False, server_default="1"),
    _now(),
    # When its source told of it last; and whether it was ended because that is long ago.
    _now("heard_at"),
    Column("gone_quiet", Boolean, nullable=False, server_default=text("false")),
    Index("ix_incidents_unresolved", "heard_at", postgresql_where=text("status <> 'resolved'")),
    Index(
        "uq_incidents_open",
        "source",
        "incident_key",
        unique=True,
        postgresql_where=text("status <> 'resolved'"),
    ),
    Index(None, "source", "incident_key"),
    Index(None, "investigation_id"),
    Index(None, "service_name", "started_at"),
)

investigations = Table(
    "investigations",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The first of its incidents; the others name it in `incidents.investigation_id`.
    Column("incident_id", ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    _session(nullable=True),
    _turn(nullable=True),
    Column("title", Text, nullable=False, server_default=""),
    Column("service_name", Text),
    Column("severity", Text, nullable=False, server_default="P3"),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    # Diagnoses there were or are to be: somebody may ask for another one.
    Column("round", Integer, nullable=False, server_default="1"),
    Column("look_job_id", BigInteger),
    Column("diagnose_job_id", BigInteger),
    Column("onset_at", DateTime(timezone=True)),
    # What a storm is grouped by, of all incidents shown in this one's thread: services and labels.
    Column("marks", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # In a storm: the investigation whose thread shows this one, and why.
    Column("storm_id", ForeignKey("investigations.id", ondelete="CASCADE")),
    Column("grouped_because", Text),
    # Of the one with the thread: how many others it shows, and when the last of them came.
    Column("storm_size", Integer, nullable=False, server_default="0"),
    _now("storm_at"),
    # Of a P1 in a storm: when the thread it is in was told of it. Those of one note have one time.
    Column("told_at", DateTime(timezone=True)),
    # And when people were called about it; those of one call have one time.
    Column("called_at", DateTime(timezone=True)),
    Column("observations", JSONB),
    Column("evidence_brief", JSONB),
    Column("brief", JSONB),
    Column("report", Text),
    Column("thread_state", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # Intents to call people, by key: each is stored before anything is sent.
    Column("escalations", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # By button: who pressed it first, and the words that stand in its place.
    Column("presses", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("error_code", Text),
    Column("trace_id", Text, nullable=False, server_default=""),
    _now(),
    Column("started_at", DateTime(timezone=True)),
    Column("looked_at", DateTime(timezone=True)),
    Column("resolved_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('" + "', '".join(INVESTIGATION_STATUSES) + "')", name="status"),
    Index(None, "incident_id"),
    # What refers to a session and its turns, for when those are removed.
    Index(None, "session_id"),
    Index(None, "turn_id"),
    Index(None, "created_at"),
    Index(None, "service_name", "created_at"),
    Index(None, "storm_id"),
    Index("ix_investigations_waiting", "looked_at", postgresql_where=text("status = 'looked'")),
    # Not by `storm_at`, which every one that joins moves on: the row stays where the index has it.
    Index("ix_investigations_leaders", "created_at", postgresql_where=text("storm_id IS NULL")),
)

evidence = Table(
    "evidence",
    metadata,
    _id(),
    Column("investigation_id", ForeignKey("investigations.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("label", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("query", Text),
    Column("window_start", DateTime(timezone=True)),
    Column("window_end", DateTime(timezone=True)),
    Column("link", Text),
    Column("finding", JSONB, nullable=False),
    _now(),
    UniqueConstraint("investigation_id", "label"),
)

outcomes = Table(
    "outcomes",
    metadata,
    _id(),
    Column("investigation_id", ForeignKey("investigations.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text),
    Column("correct", Boolean),
    Column("cause", Text),
    # `button`, `modal` or `resolution_note`.
    Column("source", Text, nullable=False, server_default="button"),
    _now(),
    Index(None, "investigation_id"),
    UniqueConstraint("investigation_id", "user_id"),
)

feedback = Table(
    "feedback",
    metadata,
    _turn(primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("helpful", Boolean, nullable=False),
    _now(),
)

usage = Table(
    "usage",
    metadata,
    _id(),
    _session(nullable=True),
    _turn(nullable=True),
    Column("attempt", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cache_read_tokens", Integer, nullable=False, server_default="0"),
    Column("cache_write_tokens", Integer, nullable=False, server_default="0"),
    Column("usd", Numeric(14, 8)),
    _now(),
    Index(None, "created_at"),
    Index(None, "turn_id"),
    Index(None, "session_id"),
)

budget_windows = Table(
    "budget_windows",
    metadata,
    # `hour:2026-11-20T20` or `day:2026-11-20`, in UTC.
    Column("window", Text, primary_key=True),
    Column("spent_usd", Numeric(14, 8), nullable=False, server_default="0"),
    Column("reserved_usd", Numeric(14, 8), nullable=False, server_default="0"),
    Column("spent_tokens", BigInteger, nullable=False, server_default="0"),
    Column("reserved_tokens", BigInteger, nullable=False, server_default="0"),
)

artifacts = Table(
    "artifacts",
    metadata,
    _id(),
    _session(nullable=False),
    _turn(nullable=True),
    Column("file_name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("faults", JSONB),
    _now(),
    Index(None, "session_id"),
    Index(None, "turn_id"),
)

# What people asked to have delivered, and what came of it.
deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    _session(nullable=False),
    # The turn that asked for it, and the one in which whoever asked said yes.
    _turn(),
    Column("confirmed_in", ForeignKey("turns.id", ondelete="CASCADE")),
    Column("asked_by", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("artifact_ids", ARRAY(BigInteger), nullable=False),
    # What was decided before anything was written, and what came of it.
    Column("plan", JSONB),
    Column("outcome", JSONB),
    _now(),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("kind IN ('pull_request', 'notion_page')", name="kind"),
    UniqueConstraint("turn_id"),
    UniqueConstraint("confirmed_in"),
    Index(None, "session_id"),
)

knowledge_revisions = Table(
    "knowledge_revisions",
    metadata,
    _id(),
    Column("revision", Text, nullable=False),
    Column("accepted", Boolean, nullable=False),
    # The whole id of its git commit: a remote gives nothing for an abbreviation.
    Column("commit_id", Text),
    Column("faults", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _now(),
    Index(None, "revision"),
)

rejected_webhooks = Table(
    "rejected_webhooks",
    metadata,
    _id(),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    _now(),
    Index(None, "created_at"),
)

http_cache = Table(
    "http_cache",
    metadata,
    Column("key", Text, primary_key=True),
    Column("etag", Text),
    Column("body", Text, nullable=False),
    _now("fetched_at"),
)
