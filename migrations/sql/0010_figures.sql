-- Neither costs a turn more than a leaf of its newest page: no update but the one that fails a turn touches them.
CREATE INDEX ix_turns_created_at ON turns (created_at);
CREATE INDEX ix_turns_failed ON turns (created_at) WHERE error_code IS NOT NULL;
