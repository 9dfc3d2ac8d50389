-- A message becomes a turn of its thread's session and a job, in one call, for it is acked only after that: the
-- session's id. Null, and nothing stored, when the message has its turn already, or follows up in a thread that
-- has no session. Of many who bring the first message of a thread one makes the session.
CREATE FUNCTION turn_accepted(
    its_id uuid, its_team text, its_channel text, its_thread text, its_source_key text, its_kind text,
    its_user text, its_message text, its_question text, its_envelope jsonb, its_trace text,
    its_job procrastinate_job_to_defer_v1)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
BEGIN
    SELECT * INTO session FROM sessions
     WHERE team_id = its_team AND channel_id = its_channel AND thread_ts = its_thread;
    IF session IS NULL THEN
        IF its_kind = 'follow_up' THEN
            RETURN NULL;
        END IF;
        INSERT INTO sessions (team_id, channel_id, thread_ts) VALUES (its_team, its_channel, its_thread)
            ON CONFLICT DO NOTHING;
        -- Whoever inserted it, it is committed now or ours: the next statement sees it.
        SELECT * INTO STRICT session FROM sessions
         WHERE team_id = its_team AND channel_id = its_channel AND thread_ts = its_thread;
    END IF;
    INSERT INTO turns (id, session_id, source_key, kind, user_id, message_ts, question, envelope, trace_id)
    VALUES (its_id, session.id, its_source_key, its_kind, its_user, its_message, its_question, its_envelope,
            its_trace)
        ON CONFLICT (source_key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    its_job.lock := coalesce(session.lock_key, 'session:' || session.id);
    UPDATE turns SET job_id = (SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[its_job]))) WHERE id = its_id;
    RETURN session.id;
END $$;
