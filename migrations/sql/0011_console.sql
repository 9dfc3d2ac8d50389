-- What the console's audit search goes along: the newest first, of all, of a person, of a service, of one action.
-- A page continues behind the key of the one before it, so both columns of that key end each index.
CREATE INDEX ix_audit_log_created_at_id ON audit_log (created_at, id);
CREATE INDEX ix_audit_log_user_id_created_at_id ON audit_log (user_id, created_at, id);
CREATE INDEX ix_audit_log_service_name_created_at_id ON audit_log (service_name, created_at, id);
CREATE INDEX ix_audit_log_action_created_at_id ON audit_log (action, created_at, id);
-- Beginnings of the new ones.
DROP INDEX ix_audit_log_created_at;
DROP INDEX ix_audit_log_user_id;
