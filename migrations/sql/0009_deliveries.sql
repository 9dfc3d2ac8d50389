-- What people asked to have delivered (a pull request, a page), and what came of it. The plan is stored before
-- anything is written elsewhere, so that whoever goes on after a crash does it once.
CREATE TABLE deliveries (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    session_id BIGINT NOT NULL,
    turn_id UUID NOT NULL,
    confirmed_in UUID,
    asked_by TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    artifact_ids BIGINT[] NOT NULL,
    plan JSONB,
    outcome JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_deliveries PRIMARY KEY (id),
    CONSTRAINT ck_deliveries_kind CHECK (kind IN ('pull_request', 'notion_page')),
    CONSTRAINT uq_deliveries_turn_id UNIQUE (turn_id),
    CONSTRAINT uq_deliveries_confirmed_in UNIQUE (confirmed_in),
    CONSTRAINT fk_deliveries_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    CONSTRAINT fk_deliveries_turn_id_turns FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE,
    CONSTRAINT fk_deliveries_confirmed_in_turns FOREIGN KEY(confirmed_in) REFERENCES turns (id) ON DELETE CASCADE
);
CREATE INDEX ix_deliveries_session_id ON deliveries (session_id);
