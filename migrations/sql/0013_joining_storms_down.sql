DROP FUNCTION incident_fires_at_once(
    text, text, text, text, jsonb, timestamptz, text, text, text, jsonb, integer, uuid,
    procrastinate_job_to_defer_v1, integer, double precision, double precision, double precision, integer,
    double precision, text, procrastinate_job_to_defer_v1, uuid, text);
DROP FUNCTION storm_counted(uuid);
DROP FUNCTION storm_joined(
    text, text, text, text, jsonb, timestamptz, text, text, text, jsonb, integer, uuid,
    procrastinate_job_to_defer_v1, uuid, text);
DROP FUNCTION marks_with(jsonb, jsonb);
DROP FUNCTION marks_both(jsonb, jsonb);
