-- A revision may come back: what is told once is a verdict that differs from the one before.
ALTER TABLE knowledge_revisions
    DROP CONSTRAINT uq_knowledge_revisions_revision_accepted,
    ADD COLUMN commit_id text;
CREATE INDEX ix_knowledge_revisions_revision ON knowledge_revisions (revision);

-- What refers to a session or a turn is looked for when that is removed.
CREATE INDEX ix_usage_session_id ON usage (session_id);
CREATE INDEX ix_investigations_session_id ON investigations (session_id);
CREATE INDEX ix_investigations_turn_id ON investigations (turn_id);
CREATE INDEX ix_artifacts_turn_id ON artifacts (turn_id);

-- As before, in batches: a log of years is not removed in one transaction.
DROP FUNCTION audit_prune(integer);
CREATE FUNCTION audit_prune(days integer, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE removed bigint;
BEGIN
    DELETE FROM audit_log WHERE id IN (
        SELECT id FROM audit_log WHERE created_at < now() - make_interval(days => days)
         ORDER BY created_at LIMIT most);
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed > 0 THEN
        INSERT INTO audit_log (action, input_text)
        VALUES ('retention', format('%s rows older than %s days', removed, days));
    END IF;
    RETURN removed;
END $$;

CREATE OR REPLACE FUNCTION guard_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE stack text;
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    IF TG_OP = 'UPDATE' AND stack ~ 'function audit_forget\(text,text\) line' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' AND stack ~ 'function audit_prune\(integer,integer\) line' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'SRE02';
END $$;
