DROP FUNCTION queue_defer_once(procrastinate_job_to_defer_v1);
DROP FUNCTION incident_fires(
    text, text, text, text, jsonb, timestamptz, text, text, text, jsonb, integer, uuid,
    procrastinate_job_to_defer_v1, integer, double precision, double precision, double precision, integer);
DROP FUNCTION investigation_opens(
    text, text, text, text, jsonb, timestamptz, text, text, text, jsonb, integer, uuid,
    procrastinate_job_to_defer_v1);
DROP FUNCTION incident_fires_again(text, text, text, text, jsonb, timestamptz, text, integer);
DROP FUNCTION merged_state(jsonb, jsonb);
DROP TRIGGER evidence_fence ON evidence;
DROP FUNCTION refuse_stale_evidence();

ALTER TABLE outcomes DROP CONSTRAINT uq_outcomes_investigation_id_user_id, DROP COLUMN source;
ALTER TABLE evidence DROP COLUMN attempt;

DROP INDEX ix_investigations_created_at, ix_investigations_service_name_created_at, ix_investigations_storm_id,
    ix_investigations_waiting, ix_investigations_leaders;
ALTER TABLE investigations
    DROP CONSTRAINT ck_investigations_status,
    DROP CONSTRAINT fk_investigations_storm_id_investigations,
    DROP COLUMN title, DROP COLUMN service_name, DROP COLUMN severity, DROP COLUMN attempt,
    DROP COLUMN round, DROP COLUMN presses, DROP COLUMN look_job_id, DROP COLUMN diagnose_job_id, DROP COLUMN marks, DROP COLUMN storm_id,
    DROP COLUMN grouped_because, DROP COLUMN storm_size, DROP COLUMN storm_at, DROP COLUMN observations,
    DROP COLUMN evidence_brief, DROP COLUMN thread_state, DROP COLUMN escalations, DROP COLUMN error_code,
    DROP COLUMN trace_id, DROP COLUMN started_at, DROP COLUMN looked_at, DROP COLUMN resolved_at;

DROP INDEX ix_incidents_source_incident_key, ix_incidents_investigation_id, ix_incidents_open_of_service;
ALTER TABLE incidents
    DROP CONSTRAINT fk_incidents_investigation_id_investigations,
    DROP COLUMN acknowledged_at, DROP COLUMN investigation_id, DROP COLUMN joined_because, DROP COLUMN symptom,
    DROP COLUMN deliveries, DROP COLUMN fires;
