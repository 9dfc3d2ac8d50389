ALTER TABLE incidents
    ADD COLUMN acknowledged_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN investigation_id UUID,
    ADD COLUMN joined_because TEXT,
    ADD COLUMN symptom TEXT DEFAULT '' NOT NULL,
    ADD COLUMN deliveries TEXT[] DEFAULT '{}'::text[] NOT NULL,
    ADD COLUMN fires INTEGER DEFAULT '1' NOT NULL,
    ADD CONSTRAINT fk_incidents_investigation_id_investigations
        FOREIGN KEY (investigation_id) REFERENCES investigations (id) ON DELETE SET NULL;
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
        FOREIGN KEY (storm_id) REFERENCES investigations (id) ON DELETE SET NULL;
CREATE INDEX ix_investigations_created_at ON investigations (created_at);
CREATE INDEX ix_investigations_service_name_created_at ON investigations (service_name, created_at);
CREATE INDEX ix_investigations_storm_id ON investigations (storm_id);
CREATE INDEX ix_investigations_waiting ON investigations (looked_at) WHERE status = 'looked';
CREATE INDEX ix_investigations_leaders ON investigations (storm_at) WHERE storm_id IS NULL;

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
