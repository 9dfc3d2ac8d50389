-- The log changes in two ways only, each of which it announces itself, in a row of the same transaction: a person
-- is forgotten, or rows of days ago leave. What counts is the announcement and what is done to the rows, not who
-- does it: a look at the call stack can be led astray, by a comment in a statement or by the server's language.
CREATE FUNCTION audit_announced(what text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT context_used FROM audit_log
     WHERE action = what AND created_at = now() AND context_used ->> 'transaction' = pg_current_xact_id()::text
     ORDER BY id DESC LIMIT 1
$$;

CREATE OR REPLACE FUNCTION guard_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND audit_announced('forget') IS NOT NULL
       OR TG_OP = 'DELETE' AND audit_announced('retention') IS NOT NULL THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'SRE02';
END $$;

-- Forgetting leaves every fact and time as it is, and every row.
CREATE FUNCTION guard_audit_facts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := audit_announced('forget');
    words text[] := ARRAY['user_id', 'input_text', 'response_text', 'context_used'];
BEGIN
    IF EXISTS (
        SELECT FROM was FULL JOIN becomes USING (id)
         WHERE to_jsonb(was) - words IS DISTINCT FROM to_jsonb(becomes) - words
            OR was.user_id IS DISTINCT FROM becomes.user_id
               AND becomes.user_id IS DISTINCT FROM said ->> 'pseudonym'
            OR (was.input_text IS NULL) <> (becomes.input_text IS NULL)
            OR (was.response_text IS NULL) <> (becomes.response_text IS NULL)
    ) THEN
        RAISE EXCEPTION 'audit_log is append-only: its facts stay' USING ERRCODE = 'SRE02';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_log_facts AFTER UPDATE ON audit_log REFERENCING OLD TABLE AS was NEW TABLE AS becomes
    FOR EACH STATEMENT EXECUTE FUNCTION guard_audit_facts();

-- What leaves is as old as was announced, and as much.
CREATE FUNCTION guard_audit_ages() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := audit_announced('retention');
    days integer := greatest((said ->> 'days')::integer, 1);
BEGIN
    IF EXISTS (SELECT FROM gone WHERE created_at >= now() - make_interval(days => days))
       OR (SELECT count(*) FROM gone) IS DISTINCT FROM (said ->> 'rows')::bigint THEN
        RAISE EXCEPTION 'audit_log is append-only: only what was announced may leave' USING ERRCODE = 'SRE02';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_log_ages AFTER DELETE ON audit_log REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION guard_audit_ages();

-- Replaces one person's id by a pseudonym, and their words and the answers to them; of what others wrote, their
-- id alone. How many rows is written beside it.
CREATE OR REPLACE FUNCTION audit_forget(forgotten text, pseudonym text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    name text := '\m' || forgotten || '\M';
    found bigint[];
BEGIN
    IF forgotten !~ '^[A-Za-z0-9]+$' OR pseudonym !~ '^[A-Za-z0-9-]+$' THEN
        RAISE EXCEPTION 'audit_forget takes the id of a person and a pseudonym of letters and digits';
    END IF;
    SELECT array_agg(id) INTO found FROM audit_log AS entry
     WHERE user_id = forgotten
        OR strpos(entry::text, forgotten) > 0
           AND concat_ws(' ', input_text, response_text, context_used::text) ~ name;
    INSERT INTO audit_log (action, user_id, input_text, context_used)
    VALUES ('forget', pseudonym, format('%s rows', coalesce(cardinality(found), 0)),
            jsonb_build_object('transaction', pg_current_xact_id()::text, 'pseudonym', pseudonym));
    UPDATE audit_log
       SET user_id = CASE WHEN user_id = forgotten THEN pseudonym ELSE user_id END,
           input_text = CASE WHEN user_id <> forgotten OR user_id IS NULL
                                  THEN regexp_replace(input_text, name, pseudonym, 'g')
                             WHEN input_text IS NOT NULL THEN '(forgotten)' END,
           response_text = CASE WHEN user_id <> forgotten OR user_id IS NULL
                                     THEN regexp_replace(response_text, name, pseudonym, 'g')
                                WHEN response_text IS NOT NULL THEN '(forgotten)' END,
           context_used = regexp_replace(context_used::text, name, pseudonym, 'g')::jsonb
     WHERE id = ANY(found);
    RETURN coalesce(cardinality(found), 0);
END $$;

-- Removes at most so many rows older than the retention; how many is written beside it.
CREATE OR REPLACE FUNCTION audit_prune(days integer, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE leaving bigint[];
BEGIN
    IF days < 1 THEN
        RAISE EXCEPTION 'audit_log keeps a day at least' USING ERRCODE = 'SRE02';
    END IF;
    SELECT array_agg(id) INTO leaving FROM (
        SELECT id FROM audit_log WHERE created_at < now() - make_interval(days => days)
         ORDER BY created_at LIMIT most FOR UPDATE) AS oldest;
    IF leaving IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO audit_log (action, input_text, context_used)
    VALUES ('retention', format('%s rows older than %s days', cardinality(leaving), days),
            jsonb_build_object('transaction', pg_current_xact_id()::text, 'days', days, 'rows', cardinality(leaving)));
    DELETE FROM audit_log WHERE id = ANY(leaving);
    RETURN cardinality(leaving);
END $$;

-- A role that may only add to the log can be let call these two (see docs/security.md). None of them looks
-- where a connection's own settings or its temporary tables would lead it.
ALTER FUNCTION audit_forget(text, text) SECURITY DEFINER;
ALTER FUNCTION audit_prune(integer, integer) SECURITY DEFINER;
REVOKE ALL ON FUNCTION audit_forget(text, text), audit_prune(integer, integer) FROM PUBLIC;
DO $$
DECLARE each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['audit_announced(text)', 'guard_audit_log()', 'guard_audit_facts()',
                                'guard_audit_ages()', 'audit_forget(text, text)', 'audit_prune(integer, integer)']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', each, current_schema());
    END LOOP;
END $$;

-- Which threads may be old enough to go is found without looking at the young ones.
CREATE INDEX ix_sessions_created_at ON sessions (created_at);

-- Whole results are kept for a shorter time than what the model read of them; '' is one that was let go.
CREATE INDEX ix_tool_calls_whole ON tool_calls (started_at) WHERE result_full <> '';
DROP TRIGGER tool_calls_fence ON tool_calls;
CREATE TRIGGER tool_calls_fence BEFORE INSERT ON tool_calls
    FOR EACH ROW EXECUTE FUNCTION refuse_stale_attempt();
CREATE TRIGGER tool_calls_fence_update BEFORE UPDATE ON tool_calls FOR EACH ROW
    WHEN (NEW.result_full IS DISTINCT FROM '' OR NEW.finished_at IS DISTINCT FROM OLD.finished_at
          OR NEW.attempt <> OLD.attempt)
    EXECUTE FUNCTION refuse_stale_attempt();
