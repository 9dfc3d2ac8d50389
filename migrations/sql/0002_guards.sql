-- sessions.updated_at keeps itself.
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER sessions_touch BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- A write of a running turn carries its attempt; one that was superseded is refused. The lock makes
-- a takeover (which locks the turn FOR UPDATE) wait for a write that has begun, so none slips in behind it, and
-- lets the turn's own saves of its reply go on beside it.
CREATE FUNCTION refuse_stale_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM turns WHERE id = NEW.turn_id AND attempt = NEW.attempt AND status = 'running' FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt % of turn % is not the one that runs', NEW.attempt, NEW.turn_id
            USING ERRCODE = 'SRE01';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER messages_fence BEFORE INSERT OR UPDATE ON messages
    FOR EACH ROW EXECUTE FUNCTION refuse_stale_attempt();
CREATE TRIGGER tool_calls_fence BEFORE INSERT OR UPDATE ON tool_calls
    FOR EACH ROW EXECUTE FUNCTION refuse_stale_attempt();

-- The transcript is append-only; whole sessions may be removed when their retention ends.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'SRE02';
END $$;
CREATE TRIGGER messages_append_only BEFORE UPDATE ON messages
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting();

-- The audit log accepts inserts alone. Two functions may do more, each leaving a row of its own: the
-- trigger looks at the call stack, which no setting of a connection can pretend.
CREATE FUNCTION guard_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER audit_log_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION guard_audit_log();

-- Replaces one person's id and words by a pseudonym; who asked for it is written beside it.
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

-- Removes rows older than the retention; how many is written beside it.
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

-- The queue announces inserted jobs only; a job that became free because its predecessor ended, or was
-- handed back, would wait for a poll. Announce those too.
CREATE FUNCTION queue_announce_freed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE payload text := json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text;
BEGIN
    PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
    PERFORM pg_notify('procrastinate_any_queue_v1', payload);
    RETURN NULL;
END $$;
CREATE TRIGGER queue_announce_freed AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW
    WHEN (OLD.status = 'doing' AND NEW.status <> 'doing' AND (NEW.status = 'todo' OR NEW.lock IS NOT NULL))
    EXECUTE FUNCTION queue_announce_freed();

-- Jobs of workers whose heart stopped go back to the queue. One rescuer at a time, or two would hand one
-- job out twice. Returns how many were handed back.
CREATE FUNCTION queue_rescue(dead_after_seconds double precision) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE rescued bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('queue_rescue')) THEN
        RETURN 0;
    END IF;
    WITH stalled AS (
        SELECT jobs.id
          FROM procrastinate_jobs AS jobs
          LEFT JOIN procrastinate_workers AS workers ON workers.id = jobs.worker_id
         WHERE jobs.status = 'doing'
           AND (workers.id IS NULL
                OR workers.last_heartbeat < now() - make_interval(secs => dead_after_seconds))
           FOR UPDATE OF jobs SKIP LOCKED
    )
    UPDATE procrastinate_jobs AS jobs
       SET status = 'todo', attempts = attempts + 1, scheduled_at = NULL, worker_id = NULL,
           queueing_lock = NULL, abort_requested = false
      FROM stalled
     WHERE jobs.id = stalled.id;
    GET DIAGNOSTICS rescued = ROW_COUNT;
    RETURN rescued;
END $$;

-- A job is ended, or handed back, by the worker that holds it, and in the attempt it began: what was rescued
-- from it meanwhile is its successor's, be that itself. False says so.
CREATE FUNCTION queue_finish(
    ended bigint, holder bigint, attempt integer, end_status procrastinate_job_status)
    RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE procrastinate_jobs
       SET status = end_status, attempts = attempts + 1, abort_requested = false
     WHERE id = ended AND worker_id = holder AND attempts = attempt AND status = 'doing';
    RETURN FOUND;
END $$;

CREATE FUNCTION queue_hand_back(
    job bigint, holder bigint, attempt integer, wait_seconds double precision)
    RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE procrastinate_jobs
       SET status = 'todo', attempts = attempts + 1, worker_id = NULL, queueing_lock = NULL,
           abort_requested = false,
           scheduled_at = CASE WHEN wait_seconds > 0 THEN now() + make_interval(secs => wait_seconds) END
     WHERE id = job AND worker_id = holder AND attempts = attempt AND status = 'doing';
    RETURN FOUND;
END $$;
