-- When people were called about this one, a P1 in the thread of a storm; those of one call have one time.
ALTER TABLE investigations ADD COLUMN called_at TIMESTAMP WITH TIME ZONE;
-- Nobody is called now about what joined before.
UPDATE investigations SET called_at = now() WHERE storm_id IS NOT NULL;
