DROP FUNCTION audit_prune(integer, integer);
CREATE FUNCTION audit_prune(days integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE removed bigint;
BEGIN
    DELETE FROM audit_log WHERE created_at < now() - make_interval(days => days);
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
    IF TG_OP = 'DELETE' AND stack ~ 'function audit_prune\(integer\) line' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'SRE02';
END $$;

DROP INDEX ix_artifacts_turn_id, ix_investigations_turn_id, ix_investigations_session_id, ix_usage_session_id;

-- Of verdicts that came back the newest stays.
DELETE FROM knowledge_revisions AS older
 USING knowledge_revisions AS newer
 WHERE newer.revision = older.revision AND newer.accepted = older.accepted AND newer.id > older.id;
DROP INDEX ix_knowledge_revisions_revision;
ALTER TABLE knowledge_revisions
    DROP COLUMN commit_id,
    ADD CONSTRAINT uq_knowledge_revisions_revision_accepted UNIQUE (revision, accepted);
