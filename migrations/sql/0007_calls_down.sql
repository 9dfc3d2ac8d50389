ALTER TABLE investigations DROP COLUMN called_at;
