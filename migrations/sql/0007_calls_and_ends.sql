-- When people were called about this one, a P1 in the thread of a storm; those of one call have one time.
ALTER TABLE investigations ADD COLUMN called_at TIMESTAMP WITH TIME ZONE;
-- Nobody is called now about what joined before.
UPDATE investigations SET called_at = now() WHERE storm_id IS NOT NULL;

-- When its source told of an incident last; and whether it was ended because that is long ago.
ALTER TABLE incidents
    ADD COLUMN heard_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    ADD COLUMN gone_quiet BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX ix_incidents_unresolved ON incidents (heard_at) WHERE status <> 'resolved';

-- An incident that is open fires again: null when none is. What was not heard of for so long before this began is
-- none: that is a former life of it.
DROP FUNCTION incident_fires_again(text, text, text, text, jsonb, timestamptz, text, integer);
CREATE FUNCTION incident_fires_again(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, digests_kept integer, open_together_seconds double precision)
    RETURNS jsonb LANGUAGE sql AS $$
    WITH before AS (
        SELECT id, severity, status FROM incidents
         WHERE source = its_source AND incident_key = its_key AND status <> 'resolved'
           AND NOT (heard_at < now() - make_interval(secs => open_together_seconds) AND its_start > heard_at)
           FOR UPDATE
    ), again AS (
        UPDATE incidents AS incident
           SET heard_at = now(), alert = its_alert, title = its_title,
               severity = least(incident.severity, its_severity),
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

-- An incident fires; all in one call, for everybody else who brings a new one waits from the lock to the end of
-- the caller's transaction. Either `again` says that it is open already, or `told_before` that this very alert
-- was taken in an earlier life of it, or `twin` is one of another source about the same service and symptom at
-- the same time, or `leaders` are those with threads of their own in the storm it comes in; else it is `opened`.
-- `forgotten` is the investigation of its former life, when that is ended here: nobody told of its end.
-- The last parameter has a default, so that a replica of the version before can still call it.
CREATE OR REPLACE FUNCTION incident_fires(
    its_source text, its_key text, its_title text, its_severity text, its_alert jsonb, its_start timestamptz,
    its_digest text, its_service text, its_symptom text, its_marks jsonb, its_priority integer, its_id uuid,
    its_look procrastinate_job_to_defer_v1, digests_kept integer, repeats_seconds double precision,
    together_seconds double precision, window_seconds double precision, storm_incidents integer,
    open_together_seconds double precision DEFAULT 21600)
    RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    found jsonb;
    ended jsonb := '{}';
    recent integer;
BEGIN
    -- A process that is stopped just here must not keep all others from taking alerts.
    PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
    found := incident_fires_again(
        its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, digests_kept,
        open_together_seconds);
    IF found IS NULL THEN
        PERFORM pg_advisory_xact_lock(1229865801); -- "INCI"
        -- It began anew, so long after the last word of it: the end of the former one was never told.
        UPDATE incidents SET status = 'resolved', resolved_at = now(), gone_quiet = true
         WHERE source = its_source AND incident_key = its_key AND status <> 'resolved'
           AND heard_at < now() - make_interval(secs => open_together_seconds) AND its_start > heard_at
        RETURNING jsonb_build_object('forgotten', investigation_id) INTO ended;
        ended := coalesce(ended, '{}');
        -- Another delivery may have opened it while this one waited.
        found := incident_fires_again(
            its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, digests_kept,
            open_together_seconds);
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
        RETURN ended || jsonb_build_object('told_before', found);
    END IF;

    -- Conservative: without a service, or a symptom that is known by its words, nothing is taken for the same.
    -- What is over is joined by what began about when it did, and before its end; but what fires again after its
    -- own end is a new incident, and what was opened by hand is nobody's.
    SELECT to_jsonb(twin) INTO found FROM (
        SELECT source, incident_key, investigation_id FROM incidents AS other
         WHERE service_name = its_service AND source <> its_source
           AND string_to_array(symptom, ' ') && string_to_array(its_symptom, ' ')
           AND started_at BETWEEN its_start - make_interval(secs => open_together_seconds)
                              AND its_start + make_interval(secs => open_together_seconds)
           AND (status <> 'resolved'
                OR abs(extract(epoch FROM started_at - its_start)) <= together_seconds
                   -- Clocks are a little apart.
                   AND its_start <= resolved_at + interval '1 minute'
                   AND strpos(incident_key, '#by-hand:') = 0
                   AND NOT EXISTS (SELECT 1 FROM incidents AS earlier
                                    WHERE earlier.investigation_id = other.investigation_id
                                      AND earlier.source = its_source AND earlier.incident_key = its_key))
         ORDER BY (status = 'resolved'), id DESC LIMIT 1) AS twin;
    IF found IS NOT NULL THEN
        RETURN ended || jsonb_build_object('twin', found);
    END IF;

    SELECT count(*) INTO recent FROM (
        SELECT 1 FROM investigations
         WHERE created_at > now() - make_interval(secs => window_seconds) LIMIT storm_incidents) AS counted;
    IF recent < storm_incidents THEN
        PERFORM investigation_opens(
            its_source, its_key, its_title, its_severity, its_alert, its_start, its_digest, its_service,
            its_symptom, its_marks, its_priority, its_id, its_look);
        RETURN ended || jsonb_build_object('opened', true);
    END IF;
    SELECT coalesce(jsonb_agg(to_jsonb(leader)), '[]') INTO found FROM (
        SELECT id, marks FROM investigations
         WHERE storm_id IS NULL AND created_at > now() - interval '1 day'
           AND storm_at > now() - make_interval(secs => window_seconds)
           -- What is over and was looked into says nothing of what begins now.
           AND (resolved_at IS NULL OR storm_size > 0 AND finished_at IS NULL)
         ORDER BY created_at, id LIMIT 50) AS leader;
    RETURN ended || jsonb_build_object('leaders', found);
END $$;
