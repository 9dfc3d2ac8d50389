DROP TRIGGER tool_calls_fence_update ON tool_calls;
DROP TRIGGER tool_calls_fence ON tool_calls;
CREATE TRIGGER tool_calls_fence BEFORE INSERT OR UPDATE ON tool_calls
    FOR EACH ROW EXECUTE FUNCTION refuse_stale_attempt();
DROP INDEX ix_tool_calls_whole;
DROP INDEX ix_sessions_created_at;

DROP TRIGGER audit_log_facts ON audit_log;
DROP TRIGGER audit_log_ages ON audit_log;
DROP FUNCTION guard_audit_facts();
DROP FUNCTION guard_audit_ages();

DROP FUNCTION audit_forget(text, text);
CREATE FUNCTION audit_forget(forgotten text, pseudonym text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE changed bigint;
BEGIN
    UPDATE audit_log
       SET user_id = pseudonym,
           input_text = CASE WHEN input_text IS NULL THEN NULL ELSE '(forgotten)' END,
           response_text = CASE WHEN response_text IS NULL THEN NULL ELSE '(forgotten)' END
     WHERE user_id = forgotten;
    GET DIAGNOSTICS changed = ROW_COUNT;
    INSERT INTO audit_log (action, user_id, input_text)
    VALUES ('forget', pseudonym, format('%s rows', changed));
    RETURN changed;
END $$;

DROP FUNCTION audit_prune(integer, integer);
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
DROP FUNCTION audit_announced(text);
