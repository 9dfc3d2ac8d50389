-- A busy installation after a year.
INSERT INTO audit_log (thread_ts, channel_id, user_id, action, service_name, input_text, response_text, confidence,
                       knowledge_revision, trace_id, created_at)
SELECT '17000' || lpad((n % 10000)::text, 5, '0') || '.000100', 'C0BENCH', 'U' || (n * 7919 % 200),
       (ARRAY['tool_call', 'tool_call', 'tool_call', 'message', 'message'])[1 + n % 5],
       'service-' || (n * 7907 % 80), 'how is service ' || n || ' doing? ' || repeat('why does it wait ', 8),
       repeat('the quick brown fox of ' || md5(n::text) || ' jumps over it. ', 12)
       || CASE WHEN n = 17 THEN 'needle-in-the-haystack' ELSE '' END,
       0.7, 'r1', md5(n::text), now() - make_interval(secs => (100000 - n) * 345.6)
  FROM generate_series(1, 100000) AS n;
INSERT INTO sessions (team_id, channel_id, thread_ts, service_name, created_at, updated_at)
SELECT 'T1', 'C0BENCH', '17000' || lpad(n::text, 5, '0') || '.000100', 'service-' || n % 80,
       now() - make_interval(mins => 10001 - n), now() FROM generate_series(1, 10001) AS n;
INSERT INTO turns (id, session_id, source_key, kind, status, attempt, user_id, question, answer, trace_id, created_at,
                   started_at, finished_at)
SELECT gen_random_uuid(), CASE WHEN n <= 24000 THEN 1 + n % 10000 ELSE 10001 END, 'bench:' || n, 'mention', 'running',
       1, 'U' || n % 200, 'what about ' || n || '?', jsonb_build_object('text', repeat('An **answer** that says it. ', 40)),
       md5(n::text), now() - make_interval(mins => 25001 - n), now(), now() FROM generate_series(1, 25000) AS n;
INSERT INTO tool_calls (session_id, turn_id, attempt, call_id, name, arguments, result, result_full, failed, duration_ms)
SELECT session_id, id, 1, 'c' || k, 'promql', '{"query": "up"}', repeat('value 1 ', 200),
       CASE WHEN k = 1 THEN repeat('value 1 ', 2000) END, false, 120 FROM turns, generate_series(1, 2) AS k;
INSERT INTO messages (session_id, turn_id, attempt, kind, body)
SELECT session_id, id, 1, 'model', '{"kind": "response", "parts": [{"part_kind": "text", "content": "I look."}]}'
  FROM turns;
UPDATE turns SET status = 'done';
INSERT INTO usage (session_id, turn_id, attempt, provider, model, input_tokens, output_tokens, usd, created_at)
SELECT session_id, id, 1, 'anthropic', 'model-' || k, 9000, 400, 0.01, created_at - make_interval(days => k * 40)
  FROM turns, generate_series(0, 1) AS k;
INSERT INTO usage (attempt, provider, model, input_tokens, output_tokens, usd, created_at)
SELECT 1, 'anthropic', 'model-2', 9000, 400, 0.01, now() - make_interval(mins => n * 10)
  FROM generate_series(1, 10000) AS n;
INSERT INTO incidents (source, incident_key, title, service_name, severity, status, alert, started_at)
SELECT 'bench', 'Q' || n, 'High error rate ' || n, 'service-' || n % 80, 'P2', 'resolved', '{}', now()
  FROM generate_series(1, 3000) AS n;
INSERT INTO investigations (id, incident_id, title, service_name, severity, status, brief, observations, created_at)
SELECT gen_random_uuid(), id, title, service_name, severity, 'diagnosing',
       jsonb_build_object('headline', title, 'confidence', 0.7, 'confidence_level', 'high', 'model', 'm',
                          'likely_cause', jsonb_build_object('text', repeat('A rollout. ', 30))),
       to_jsonb(repeat(md5(id::text), 3000)), now() - make_interval(hours => id::int * 3) FROM incidents;
UPDATE incidents SET investigation_id = investigations.id FROM investigations WHERE incident_id = incidents.id;
INSERT INTO evidence (investigation_id, label, source, query, link, finding)
SELECT id, 'E' || k, 'prometheus', 'up', 'https://prometheus.example/graph', '{"statement": "It rose."}'
  FROM investigations, generate_series(1, 12) AS k;
UPDATE investigations SET status = 'done', finished_at = created_at + interval '30 s';
INSERT INTO outcomes (investigation_id, user_id, correct)
SELECT id, 'U1', incident_id % 3 > 0 FROM investigations WHERE incident_id % 5 > 0;
INSERT INTO knowledge_revisions (revision, accepted, faults)
SELECT md5(n::text), n % 9 > 0, '[{"path": "a.md", "line": 1, "severity": "error", "message": "no"}]'
  FROM generate_series(1, 500) AS n;
