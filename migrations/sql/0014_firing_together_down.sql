DROP PROCEDURE incidents_fire(jsonb, jsonb);
DROP FUNCTION job_of(jsonb);
