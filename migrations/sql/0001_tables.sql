CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    thread_ts TEXT,
    channel_id TEXT,
    user_id TEXT,
    action TEXT NOT NULL,
    service_name TEXT,
    workflow TEXT,
    input_text TEXT,
    response_text TEXT,
    confidence DOUBLE PRECISION,
    sre_tagged BOOLEAN DEFAULT false NOT NULL,
    context_used JSONB,
    knowledge_revision TEXT,
    trace_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (id),
    CONSTRAINT ck_audit_log_confidence CHECK (confidence BETWEEN 0 AND 1)
);
CREATE INDEX ix_audit_log_channel_id_thread_ts ON audit_log (channel_id, thread_ts);
CREATE INDEX ix_audit_log_created_at ON audit_log (created_at);
CREATE INDEX ix_audit_log_user_id ON audit_log (user_id);
CREATE TABLE budget_windows (
    "window" TEXT NOT NULL,
    spent_usd NUMERIC(14, 8) DEFAULT '0' NOT NULL,
    reserved_usd NUMERIC(14, 8) DEFAULT '0' NOT NULL,
    spent_tokens BIGINT DEFAULT '0' NOT NULL,
    reserved_tokens BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT pk_budget_windows PRIMARY KEY ("window")
);
CREATE TABLE http_cache (
    key TEXT NOT NULL,
    etag TEXT,
    body TEXT NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_http_cache PRIMARY KEY (key)
);
CREATE TABLE incidents (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    source TEXT NOT NULL,
    incident_key TEXT NOT NULL,
    title TEXT NOT NULL,
    service_name TEXT,
    severity TEXT NOT NULL,
    status TEXT DEFAULT 'open' NOT NULL,
    alert JSONB NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_incidents PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_incidents_open ON incidents (source, incident_key) WHERE status <> 'resolved';
CREATE TABLE knowledge_revisions (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    revision TEXT NOT NULL,
    accepted BOOLEAN NOT NULL,
    faults JSONB DEFAULT '[]'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_knowledge_revisions PRIMARY KEY (id),
    CONSTRAINT uq_knowledge_revisions_revision_accepted UNIQUE (revision, accepted)
);
CREATE TABLE rejected_webhooks (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    payload JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_rejected_webhooks PRIMARY KEY (id)
);
CREATE INDEX ix_rejected_webhooks_created_at ON rejected_webhooks (created_at);
CREATE TABLE sessions (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    team_id TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    thread_ts TEXT NOT NULL,
    lock_key TEXT,
    service_name TEXT,
    workflow TEXT,
    workflow_state JSONB,
    context_refs JSONB,
    knowledge_revision TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_team_id_channel_id_thread_ts UNIQUE (team_id, channel_id, thread_ts)
);
CREATE TABLE turns (
    id UUID NOT NULL,
    session_id BIGINT NOT NULL,
    source_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT DEFAULT 'queued' NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    user_id TEXT NOT NULL,
    message_ts TEXT,
    question TEXT NOT NULL,
    envelope JSONB DEFAULT '{}'::jsonb NOT NULL,
    job_id BIGINT,
    stopped_by TEXT,
    reply_state JSONB,
    answer JSONB,
    error_code TEXT,
    trace_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_turns PRIMARY KEY (id),
    CONSTRAINT ck_turns_status CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')),
    CONSTRAINT fk_turns_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT uq_turns_source_key UNIQUE (source_key)
);
CREATE INDEX ix_turns_session_id_created_at ON turns (session_id, created_at);
CREATE TABLE artifacts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    session_id BIGINT NOT NULL,
    turn_id UUID,
    file_name TEXT NOT NULL,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content TEXT NOT NULL,
    faults JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_artifacts PRIMARY KEY (id),
    CONSTRAINT fk_artifacts_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_artifacts_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE INDEX ix_artifacts_session_id ON artifacts (session_id);
CREATE TABLE feedback (
    turn_id UUID NOT NULL,
    user_id TEXT NOT NULL,
    helpful BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_feedback PRIMARY KEY (turn_id, user_id),
    CONSTRAINT fk_feedback_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE TABLE investigations (
    id UUID NOT NULL,
    incident_id BIGINT NOT NULL,
    session_id BIGINT,
    turn_id UUID,
    status TEXT DEFAULT 'queued' NOT NULL,
    priority INTEGER DEFAULT '0' NOT NULL,
    onset_at TIMESTAMP WITH TIME ZONE,
    brief JSONB,
    report TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_investigations PRIMARY KEY (id),
    CONSTRAINT fk_investigations_incident_id_incidents FOREIGN KEY(incident_id) REFERENCES incidents (id) ON DELETE CASCADE,
    CONSTRAINT fk_investigations_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_investigations_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE INDEX ix_investigations_incident_id ON investigations (incident_id);
CREATE TABLE messages (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    session_id BIGINT NOT NULL,
    turn_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body JSONB NOT NULL,
    through_id BIGINT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_messages PRIMARY KEY (id),
    CONSTRAINT fk_messages_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_messages_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE INDEX ix_messages_session_id_id ON messages (session_id, id);
CREATE INDEX ix_messages_summaries ON messages (session_id, id) WHERE kind = 'summary';
CREATE INDEX ix_messages_turn_id_id ON messages (turn_id, id);
CREATE TABLE tool_calls (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    session_id BIGINT NOT NULL,
    turn_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    name TEXT NOT NULL,
    arguments JSONB NOT NULL,
    result TEXT,
    result_full TEXT,
    sources JSONB DEFAULT '[]'::jsonb NOT NULL,
    failed BOOLEAN,
    duration_ms INTEGER,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tool_calls PRIMARY KEY (id),
    CONSTRAINT uq_tool_calls_turn_id_call_id UNIQUE (turn_id, call_id),
    CONSTRAINT fk_tool_calls_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_tool_calls_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE INDEX ix_tool_calls_session_id_id ON tool_calls (session_id, id);
CREATE TABLE usage (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    session_id BIGINT,
    turn_id UUID,
    attempt INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER DEFAULT '0' NOT NULL,
    cache_write_tokens INTEGER DEFAULT '0' NOT NULL,
    usd NUMERIC(14, 8),
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_usage PRIMARY KEY (id),
    CONSTRAINT fk_usage_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_usage_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE INDEX ix_usage_created_at ON usage (created_at);
CREATE INDEX ix_usage_turn_id ON usage (turn_id);
CREATE TABLE evidence (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    investigation_id UUID NOT NULL,
    label TEXT NOT NULL,
    source TEXT NOT NULL,
    query TEXT,
    window_start TIMESTAMP WITH TIME ZONE,
    window_end TIMESTAMP WITH TIME ZONE,
    link TEXT,
    finding JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_evidence PRIMARY KEY (id),
    CONSTRAINT uq_evidence_investigation_id_label UNIQUE (investigation_id, label),
    CONSTRAINT fk_evidence_investigation_id_investigations FOREIGN KEY(investigation_id) REFERENCES investigations (id) ON DELETE CASCADE
);
CREATE TABLE outcomes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    investigation_id UUID NOT NULL,
    user_id TEXT,
    correct BOOLEAN,
    cause TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_outcomes PRIMARY KEY (id),
    CONSTRAINT fk_outcomes_investigation_id_investigations FOREIGN KEY(investigation_id) REFERENCES investigations (id) ON DELETE CASCADE
);
CREATE INDEX ix_outcomes_investigation_id ON outcomes (investigation_id);
