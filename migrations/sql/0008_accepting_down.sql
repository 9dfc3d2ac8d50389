DROP FUNCTION turn_accepted(
    uuid, text, text, text, text, text, text, text, text, jsonb, text, procrastinate_job_to_defer_v1);
