-- Nothing is lost, and everything is accounted for.

-- The uniqueids of those connected in the section's talk, as a JSON list: after a restart its MixMonitor is only taken
-- over where they are still the same. `deleted_at` is when its file was deleted; the row stays as a tombstone.
ALTER TABLE sections ADD COLUMN parties TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sections ADD COLUMN deleted_at INTEGER;

PRAGMA user_version = 3;
