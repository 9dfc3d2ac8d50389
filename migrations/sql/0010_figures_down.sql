DROP INDEX ix_turns_failed;
DROP INDEX ix_turns_created_at;
