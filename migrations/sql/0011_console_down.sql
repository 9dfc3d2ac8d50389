CREATE INDEX ix_audit_log_created_at ON audit_log (created_at);
CREATE INDEX ix_audit_log_user_id ON audit_log (user_id);
DROP INDEX ix_audit_log_action_created_at_id;
DROP INDEX ix_audit_log_service_name_created_at_id;
DROP INDEX ix_audit_log_user_id_created_at_id;
DROP INDEX ix_audit_log_created_at_id;
