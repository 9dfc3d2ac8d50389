-- As 0013 and 0014 have them.
-- An incident whose investigation is shown in another one's thread, which is told. The other one gets the severity
-- and priority of the gravest and what marks this one, and is over no longer. Whether
-- it had not all these marks already.
-- The stages write to the other one's row, in transactions that wait for their turn in a busy process, and everybody
-- who brings a new incident would wait with this one: where it only counts one more, a row that is held is left
-- as it is, and the update that is put into the queue here counts (`storm_counted`).
CREATE OR REPLACE FUNCTION storm_joined(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, its_service text, its_symptom text, its_marks jsonb, its_priority integer, its_id uuid,
    its_update procrastinate_job_to_defer_v1, its_leader uuid, its_because text)
    RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    must_mark boolean;
    must_change boolean;
    jobs bigint[];
BEGIN
    WITH incident AS (
        INSERT INTO incidents (source, incident_key, title, service_name, severity, alert, started_at, symptom,
                               deliveries, investigation_id)
        VALUES (its_source, its_key, its_title, its_service, its_severity, its_alert, its_start, its_symptom,
                ARRAY[its_digest], its_id)
        RETURNING id
    )
    INSERT INTO investigations (id, incident_id, title, service_name, severity, priority, status, trace_id,
                                marks, storm_id, grouped_because)
    SELECT its_id, incident.id, its_title, its_service, its_severity, its_priority, 'joined',
           replace(its_id::text, '-', ''), its_marks, its_leader, its_because
      FROM incident;

    SELECT severity > its_severity OR priority < its_priority OR storm_size = 0 OR resolved_at IS NOT NULL,
           CASE WHEN marks @> (its_marks - 'for_the_rest') THEN false
                ELSE marks <> marks_with(marks, its_marks) END
      INTO must_change, must_mark FROM investigations WHERE id = its_leader;
    IF must_change OR must_mark THEN
        SELECT ARRAY[look_job_id, diagnose_job_id] INTO jobs
          FROM investigations WHERE id = its_leader FOR NO KEY UPDATE;
    ELSE
        SELECT ARRAY[look_job_id, diagnose_job_id] INTO jobs
          FROM investigations WHERE id = its_leader FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF FOUND THEN
        UPDATE investigations
           SET storm_size = (SELECT count(*) FROM investigations WHERE storm_id = its_leader), storm_at = now(),
               resolved_at = NULL, marks = CASE WHEN must_mark THEN marks_with(marks, its_marks) ELSE marks END,
               severity = least(severity, its_severity), priority = greatest(priority, its_priority)
         WHERE id = its_leader;
        UPDATE procrastinate_jobs SET priority = its_priority
         WHERE id = ANY(jobs) AND status = 'todo' AND priority < its_priority;
    END IF;
    PERFORM queue_defer_once(its_update);
    RETURN must_mark;
END $$;

CREATE OR REPLACE FUNCTION incident_fires_at_once(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, its_service text, its_symptom text, its_marks jsonb, its_priority integer, its_id uuid,
    its_look procrastinate_job_to_defer_v1, digests_kept integer, repeats_seconds double precision,
    together_seconds double precision, window_seconds double precision, storm_incidents integer,
    open_together_seconds double precision,
    its_view text, its_update procrastinate_job_to_defer_v1, its_leader uuid, its_because text)
    RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    said jsonb;
    view text;
    marked text;
    news boolean;
BEGIN
    -- Nobody waits with a lock in hand for what is written to reach the disk: the caller waits for that, at one time
    -- for many.
    PERFORM set_config('synchronous_commit', 'off', true);
    said := incident_fires(
        its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, its_service, its_symptom,
        its_marks, its_priority, its_id, its_look, digests_kept, repeats_seconds, together_seconds,
        window_seconds, storm_incidents, open_together_seconds);
    SELECT md5(string_agg(leader ->> 'id', ' ')) INTO view FROM jsonb_array_elements(said -> 'leaders') AS leader;
    marked := md5((said -> 'leaders')::text);
    IF NOT said ? 'forgotten' THEN
        IF said ? 'opened' OR said ? 'told_before'
           OR said @> '{"again": {"raised": false, "reopened": false}}' THEN
            RETURN said;
        ELSIF view = its_view THEN
            news := storm_joined(
                its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, its_service,
                its_symptom, its_marks, its_priority, its_id, its_update, its_leader, its_because);
            RETURN jsonb_build_object('joined', true, 'marked', CASE WHEN NOT news THEN marked END);
        END IF;
    END IF;
    -- To the block below: what was written here is taken back, and what was locked is free.
    RAISE EXCEPTION USING ERRCODE = 'SRE02';
EXCEPTION WHEN SQLSTATE 'SRE02' THEN
    RETURN jsonb_build_object('undone', said, 'view', view, 'marked', marked);
END $$;

CREATE OR REPLACE PROCEDURE incidents_fire(alerts jsonb, INOUT said jsonb) LANGUAGE plpgsql AS $$
DECLARE
    its jsonb;
    became jsonb;
BEGIN
    said := '[]';
    FOR number IN 0 .. jsonb_array_length(alerts) - 1 LOOP
        its := alerts -> number;
        BEGIN
            became := incident_fires_at_once(
                its ->> 'source', its ->> 'key', its ->> 'title', its ->> 'severity', (its ->> 'alert')::jsonb,
                (its ->> 'started_at')::timestamptz, its ->> 'digest', its ->> 'service', its ->> 'symptom',
                (its ->> 'marks')::jsonb, (its -> 'look' ->> 'priority')::int, (its ->> 'investigation_id')::uuid,
                job_of(its -> 'look'), (its ->> 'kept')::int, (its ->> 'repeats_seconds')::double precision,
                (its ->> 'together_seconds')::double precision, (its ->> 'window_seconds')::double precision,
                (its ->> 'storm_incidents')::int, (its ->> 'open_together_seconds')::double precision,
                its ->> 'view', job_of(its -> 'update'), (its ->> 'leader_id')::uuid, its ->> 'grouped_because');
        EXCEPTION WHEN OTHERS THEN
            became := jsonb_build_object('undone', jsonb_build_object('failed', SQLSTATE));
        END;
        said := said || jsonb_build_array(became);
        COMMIT;
    END LOOP;
END $$;
