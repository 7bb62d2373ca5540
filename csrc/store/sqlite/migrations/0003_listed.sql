-- 0003: what lists find instances by has a table of its own.
--
-- An index costs a page and two steps through a tree in every commit that touches it, and most instances
-- have ended a moment after they began. So the indexes of lists are not of `instances` but of `listed`, into
-- which folding brings all new instances at once, in the order of their keys.
-- Invariant: `listed` has exactly the instances up to its greatest key, and says of each what its row in
-- `instances` says. Lists look at the few newer ones themselves (listed.c).

-- The turns of the journal up to this row are in event_count, turns and turn_us_total (counts.c).
ALTER TABLE instances ADD COLUMN counted_seq INTEGER NOT NULL DEFAULT 0;

CREATE TABLE listed (
  instance_key INTEGER PRIMARY KEY,
  status TEXT NOT NULL,
  name TEXT NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  completed_at_ms INTEGER,
  parent_id TEXT,
  wake_at_ms INTEGER
) STRICT;

INSERT INTO listed
SELECT instance_key, status, name, updated_at_ms, completed_at_ms, parent_id, wake_at_ms FROM instances
ORDER BY instance_key;

DROP INDEX instances_by_status;
DROP INDEX instances_by_name;
DROP INDEX instances_by_updated;
DROP INDEX instances_by_completed;
DROP INDEX instances_by_parent;
DROP INDEX instances_by_wake;

-- Lists by status, newest first within each (the rowid, which is the key, ends every index).
CREATE INDEX instances_by_status ON listed (status);
-- Lists by name and name prefix, and lists ordered by name.
CREATE INDEX instances_by_name ON listed (name);
-- Lists ordered by, or ranging over, the time of the last change.
CREATE INDEX instances_by_updated ON listed (updated_at_ms);
-- Lists ranging over the time of completion.
CREATE INDEX instances_by_completed ON listed (completed_at_ms) WHERE completed_at_ms IS NOT NULL;
-- Lists of an instance's children (by its id: they may outlive it).
CREATE INDEX instances_by_parent ON listed (parent_id) WHERE parent_id IS NOT NULL;
-- due: what needs attention next. Suspended, stalled and ended instances are never due.
CREATE INDEX instances_by_wake ON listed (wake_at_ms)
  WHERE wake_at_ms IS NOT NULL AND status IN ('pending', 'running');
