CREATE TABLE sightings (
    kind TEXT NOT NULL,
    team_id TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    thread_ts TEXT NOT NULL,
    message_ts TEXT NOT NULL,
    forget_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_sightings PRIMARY KEY (kind, team_id, channel_id, thread_ts, message_ts),
    CONSTRAINT ck_sightings_kind CHECK (kind IN ('overheard', 'refused'))
);
CREATE INDEX ix_sightings_forget_at ON sightings (forget_at);
