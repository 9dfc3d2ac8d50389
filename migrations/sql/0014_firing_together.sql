-- A job as `jobs.columns` has it.
CREATE FUNCTION job_of(told jsonb) RETURNS procrastinate_job_to_defer_v1 LANGUAGE sql STABLE AS $$
    SELECT ROW(told ->> 'queue', told ->> 'task', (told ->> 'priority')::int, told ->> 'lock',
               told ->> 'queueing_lock', (told ->> 'arguments')::jsonb,
               coalesce((told ->> 'at')::timestamptz,
                        now() + make_interval(secs => (told ->> 'wait')::double precision)))
           ::procrastinate_job_to_defer_v1
$$;

-- Incidents fire one after the other, each as `incident_fires_at_once` says and in a transaction of its own, so that
-- none waits with the locks of another. What fails is `undone`, and nobody's business but its own.
CREATE PROCEDURE incidents_fire(alerts jsonb, INOUT said jsonb) LANGUAGE plpgsql AS $$
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
