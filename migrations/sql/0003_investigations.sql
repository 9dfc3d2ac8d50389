ALTER TABLE incidents
    ADD COLUMN acknowledged_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN investigation_id UUID,
    ADD COLUMN joined_because TEXT,
    ADD COLUMN symptom TEXT DEFAULT '' NOT NULL,
    ADD COLUMN deliveries TEXT[] DEFAULT '{}'::text[] NOT NULL,
    ADD COLUMN fires INTEGER DEFAULT '1' NOT NULL,
    ADD CONSTRAINT fk_incidents_investigation_id_investigations
        FOREIGN KEY (investigation_id) REFERENCES investigations (id) ON DELETE CASCADE;
CREATE INDEX ix_incidents_source_incident_key ON incidents (source, incident_key);
CREATE INDEX ix_incidents_investigation_id ON incidents (investigation_id);
CREATE INDEX ix_incidents_open_of_service ON incidents (service_name) WHERE status <> 'resolved';

ALTER TABLE investigations
    ADD COLUMN title TEXT DEFAULT '' NOT NULL,
    ADD COLUMN service_name TEXT,
    ADD COLUMN severity TEXT DEFAULT 'P3' NOT NULL,
    ADD COLUMN attempt INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN round INTEGER DEFAULT '1' NOT NULL,
    ADD COLUMN look_job_id BIGINT,
    ADD COLUMN diagnose_job_id BIGINT,
    ADD COLUMN marks JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN storm_id UUID,
    ADD COLUMN grouped_because TEXT,
    ADD COLUMN storm_size INTEGER DEFAULT '0' NOT NULL,
    ADD COLUMN storm_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ADD COLUMN observations JSONB,
    ADD COLUMN evidence_brief JSONB,
    ADD COLUMN thread_state JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN escalations JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN presses JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN error_code TEXT,
    ADD COLUMN trace_id TEXT DEFAULT '' NOT NULL,
    ADD COLUMN started_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN looked_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN resolved_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT ck_investigations_status CHECK (status IN (
        'queued', 'looking', 'looked', 'diagnosing', 'done', 'failed', 'cancelled', 'expired', 'joined')),
    ADD CONSTRAINT fk_investigations_storm_id_investigations
        FOREIGN KEY (storm_id) REFERENCES investigations (id) ON DELETE CASCADE;
CREATE INDEX ix_investigations_created_at ON investigations (created_at);
CREATE INDEX ix_investigations_service_name_created_at ON investigations (service_name, created_at);
CREATE INDEX ix_investigations_storm_id ON investigations (storm_id);
CREATE INDEX ix_investigations_waiting ON investigations (looked_at) WHERE status = 'looked';
CREATE INDEX ix_investigations_leaders ON investigations (created_at) WHERE storm_id IS NULL;

ALTER TABLE evidence ADD COLUMN attempt INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE outcomes
    ADD COLUMN source TEXT DEFAULT 'button' NOT NULL,
    ADD CONSTRAINT uq_outcomes_investigation_id_user_id UNIQUE (investigation_id, user_id);

-- Evidence is written by the attempt that runs; the share lock makes a takeover wait for a write that has begun.
CREATE FUNCTION refuse_stale_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM investigations
      WHERE id = NEW.investigation_id AND attempt = NEW.attempt AND finished_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt % of investigation % is not the one that runs', NEW.attempt, NEW.investigation_id
            USING ERRCODE = 'SRE01';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evidence_fence BEFORE INSERT OR UPDATE ON evidence
    FOR EACH ROW EXECUTE FUNCTION refuse_stale_evidence();

-- Two writers keep what a thread shows (a stage of the investigation and the thread's update): what one of them
-- had not read stays. Objects are merged, lists too by the `key` of their elements; else the newer value counts.
CREATE FUNCTION merged_state(stored jsonb, newer jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE
               WHEN jsonb_typeof(old.value) = 'object' AND jsonb_typeof(new.value) = 'object'
               THEN old.value || new.value
               WHEN jsonb_typeof(old.value) = 'array' AND jsonb_typeof(new.value) = 'array'
               THEN new.value || coalesce((
                   SELECT jsonb_agg(kept) FROM jsonb_array_elements(old.value) AS kept
                    WHERE kept ? 'key' AND NOT EXISTS (
                        SELECT 1 FROM jsonb_array_elements(new.value) AS other
                         WHERE other -> 'key' = kept -> 'key')), '[]')
               ELSE coalesce(new.value, old.value) END), '{}')
      FROM jsonb_each(stored) AS old FULL JOIN jsonb_each(newer) AS new USING (key)
$$;

-- An incident that is open fires again: null when none is.
CREATE FUNCTION incident_fires_again(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, digests_kept integer)
    RETURNS jsonb LANGUAGE sql AS $$
    WITH before AS (
        SELECT id, severity, status FROM incidents
         WHERE source = its_source AND incident_key = its_key AND status <> 'resolved' FOR UPDATE
    ), again AS (
        UPDATE incidents AS incident
           SET alert = its_alert, title = its_title, severity = least(incident.severity, its_severity),
               started_at = least(incident.started_at, its_start),
               -- Something new from what somebody has taken care of: it is open again.
               status = CASE WHEN its_digest = ANY(incident.deliveries) THEN incident.status ELSE 'open' END,
               fires = incident.fires + CASE WHEN its_digest = ANY(incident.deliveries) THEN 0 ELSE 1 END,
               deliveries = CASE WHEN its_digest = ANY(incident.deliveries) THEN incident.deliveries
                                 ELSE (its_digest || incident.deliveries)[1:digests_kept] END
          FROM before
         WHERE incident.id = before.id
        RETURNING incident.investigation_id, incident.severity < before.severity AS raised,
                  incident.status <> before.status AS reopened
    )
    SELECT to_jsonb(again) FROM again
$$;

-- A new incident with an investigation of its own, whose look is put into the queue.
CREATE FUNCTION investigation_opens(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, its_service text, its_symptom text, its_marks jsonb, its_priority integer, its_id uuid,
    its_look procrastinate_job_to_defer_v1)
    RETURNS void LANGUAGE sql AS $$
    WITH incident AS (
        INSERT INTO incidents (source, incident_key, title, service_name, severity, alert, started_at, symptom,
                               deliveries, investigation_id)
        VALUES (its_source, its_key, its_title, its_service, its_severity, its_alert, its_start, its_symptom,
                ARRAY[its_digest], its_id)
        RETURNING id
    ), job AS (
        SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[its_look])) AS id
    )
    INSERT INTO investigations (id, incident_id, title, service_name, severity, priority, look_job_id, trace_id,
                                marks)
    SELECT its_id, incident.id, its_title, its_service, its_severity, its_priority, job.id,
           replace(its_id::text, '-', ''), its_marks
      FROM incident, job
$$;

-- An incident fires; all in one call, for everybody else who brings a new one waits from the lock to the end of
-- the caller's transaction. Either `again` says that it is open already, or `told_before` that this very alert
-- was taken in an earlier life of it, or `twin` is one of another source about the same service and symptom, or
-- `leaders` are those with threads of their own in the storm it comes in; else it is `opened`.
CREATE FUNCTION incident_fires(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, its_service text, its_symptom text, its_marks jsonb, its_priority integer, its_id uuid,
    its_look procrastinate_job_to_defer_v1, digests_kept integer, repeats_seconds double precision,
    together_seconds double precision, window_seconds double precision, storm_incidents integer)
    RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
    recent integer;
BEGIN
    -- A process that is stopped just here must not keep all others from taking alerts.
    PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
    found := incident_fires_again(
        its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, digests_kept);
    IF found IS NULL THEN
        PERFORM pg_advisory_xact_lock(1229865801); -- "INCI"
        -- Another delivery may have opened it while this one waited.
        found := incident_fires_again(
            its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, digests_kept);
    END IF;
    IF found IS NOT NULL THEN
        RETURN jsonb_build_object('again', found);
    END IF;

    SELECT to_jsonb(told) INTO found FROM (
        SELECT investigation_id FROM incidents
         WHERE source = its_source AND incident_key = its_key AND its_digest = ANY(deliveries)
           AND resolved_at > now() - make_interval(secs => repeats_seconds)
         ORDER BY id DESC LIMIT 1) AS told;
    IF found IS NOT NULL THEN
        RETURN jsonb_build_object('told_before', found);
    END IF;

    -- Conservative: without a service, or a symptom that is known by its words, nothing is taken for the same.
    SELECT to_jsonb(twin) INTO found FROM (
        SELECT source, incident_key, investigation_id FROM incidents
         WHERE service_name = its_service AND status <> 'resolved' AND source <> its_source
           AND string_to_array(symptom, ' ') && string_to_array(its_symptom, ' ')
           AND abs(extract(epoch FROM started_at - its_start)) <= together_seconds
         ORDER BY id DESC LIMIT 1) AS twin;
    IF found IS NOT NULL THEN
        RETURN jsonb_build_object('twin', found);
    END IF;

    SELECT count(*) INTO recent FROM (
        SELECT 1 FROM investigations
         WHERE created_at > now() - make_interval(secs => window_seconds) LIMIT storm_incidents) AS counted;
    IF recent < storm_incidents THEN
        PERFORM investigation_opens(
            its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, its_service,
            its_symptom, its_marks, its_priority, its_id, its_look);
        RETURN jsonb_build_object('opened', true);
    END IF;
    SELECT coalesce(jsonb_agg(to_jsonb(leader)), '[]') INTO found FROM (
        SELECT id, marks FROM investigations
         WHERE storm_id IS NULL AND created_at > now() - interval '1 day'
           AND storm_at > now() - make_interval(secs => window_seconds)
           AND (resolved_at IS NULL OR storm_size > 0)
         ORDER BY created_at, id LIMIT 50) AS leader;
    RETURN jsonb_build_object('leaders', found);
END $$;

-- A job that may wait once only: the id of the one that waits, or of a new one. The one that waits is held until
-- the caller's transaction ends, so that it begins behind it and sees what the caller wrote.
CREATE FUNCTION queue_defer_once(wanted procrastinate_job_to_defer_v1) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE job bigint;
BEGIN
    LOOP
        SELECT id INTO job FROM procrastinate_jobs
         WHERE queueing_lock = wanted.queueing_lock AND status = 'todo' FOR SHARE;
        IF FOUND THEN
            RETURN job;
        END IF;
        BEGIN
            SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[wanted])) INTO job;
            RETURN job;
        EXCEPTION WHEN unique_violation THEN
            NULL; -- another was first; the next round waits for it and finds it
        END;
    END LOOP;
END $$;
