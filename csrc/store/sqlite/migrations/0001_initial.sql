-- 0001: the first schema.
--
-- Times are epoch milliseconds (*_ms); an absent time is NULL. Statuses are the words of
-- model/status.h. A migration is never edited once released: to change the schema, add the next
-- one. An index costs 1 to 4 us in each instance's life, so each one here names the read it serves.

-- What the file knows about itself that changes rarely: file_id, schema_version, owner_figures.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- High-water marks and running totals, in one row so that a batch updates them in one step. No seq,
-- key or id up to its mark is ever used again, also not after deletion or trimming.
CREATE TABLE marks (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  last_batch INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  folded_seq INTEGER NOT NULL,         -- journal rows up to here are in history too
  trimmed_seq INTEGER NOT NULL,        -- journal rows up to here are no longer kept
  last_key INTEGER NOT NULL,
  last_client_key INTEGER NOT NULL,
  last_message_id INTEGER NOT NULL,
  last_job_id INTEGER NOT NULL,
  latest_ms INTEGER NOT NULL,          -- the latest time stored in the file
  journal_bytes INTEGER NOT NULL,      -- bytes of all events ever journaled
  instance_count INTEGER NOT NULL,
  history_event_count INTEGER NOT NULL -- events in history, without the unfolded tail
) STRICT;

-- Who owns which partitions of the instances, fenced by the epoch. One row today: all of them.
CREATE TABLE lease (
  first_partition INTEGER PRIMARY KEY,
  last_partition INTEGER NOT NULL,
  epoch INTEGER NOT NULL,              -- 0 = nobody ever
  owner TEXT,                          -- NULL = free
  host TEXT,
  pid INTEGER,
  acquired_at_ms INTEGER,
  expires_at_ms INTEGER
) STRICT;

CREATE TABLE instances (
  instance_key INTEGER PRIMARY KEY,    -- grows with the time of creation and tells it
  id TEXT NOT NULL,
  run_id TEXT,
  vm INTEGER NOT NULL,
  partition INTEGER NOT NULL,
  name TEXT NOT NULL,
  version TEXT,
  status TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  completed_at_ms INTEGER,             -- NULL = not ended
  execution_id INTEGER NOT NULL,       -- the current one
  execution_started_at_ms INTEGER NOT NULL,
  event_count INTEGER NOT NULL,        -- of the current execution, as far as folded
  turns INTEGER NOT NULL,              -- of all executions, as far as folded
  turn_us_total INTEGER NOT NULL,
  parent_key INTEGER,                  -- NULL = a root
  parent_id TEXT,
  parent_event_id INTEGER,
  parent_execution_id INTEGER,
  depth INTEGER NOT NULL,
  wake_at_ms INTEGER,                  -- 0 = now, NULL = when a message comes
  wake_seq INTEGER NOT NULL DEFAULT 0, -- wake_at_ms is newer than the journal up to here
  waiting_on TEXT NOT NULL DEFAULT '[]',
  custom_status TEXT,
  custom_status_version INTEGER NOT NULL,
  attributes TEXT,
  reason TEXT,
  error TEXT,
  output TEXT
) STRICT;

-- get by id, lists by id and id prefix, and the law that an id is taken once.
CREATE UNIQUE INDEX instances_by_id ON instances (id);
-- Lists by status, newest first within each (the rowid, which is the key, ends every index).
CREATE INDEX instances_by_status ON instances (status);
-- Lists by name and name prefix, and lists ordered by name.
CREATE INDEX instances_by_name ON instances (name);
-- Lists ordered by, or ranging over, the time of the last change.
CREATE INDEX instances_by_updated ON instances (updated_at_ms);
-- Lists ranging over the time of completion.
CREATE INDEX instances_by_completed ON instances (completed_at_ms)
  WHERE completed_at_ms IS NOT NULL;
-- Lists of an instance's children (by its id: they may outlive it).
CREATE INDEX instances_by_parent ON instances (parent_id) WHERE parent_id IS NOT NULL;
-- due: what needs attention next. Suspended, stalled and ended instances are never due.
CREATE INDEX instances_by_wake ON instances (wake_at_ms)
  WHERE wake_at_ms IS NOT NULL AND status IN ('pending', 'running');

-- Past executions; the current one is in instances.
CREATE TABLE executions (
  instance_key INTEGER NOT NULL,
  execution_id INTEGER NOT NULL,
  status TEXT NOT NULL,
  version TEXT,
  started_at_ms INTEGER NOT NULL,
  completed_at_ms INTEGER NOT NULL,
  event_count INTEGER NOT NULL,
  reason TEXT,
  PRIMARY KEY (instance_key, execution_id)
) STRICT, WITHOUT ROWID;

-- The truth in commit order, one row per turn, appended and deleted from its front only.
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  instance_key INTEGER NOT NULL,
  execution_id INTEGER NOT NULL,
  first_event_id INTEGER NOT NULL,
  event_count INTEGER NOT NULL,
  status TEXT NOT NULL,                -- of the execution after this turn
  at_ms INTEGER NOT NULL,
  turn_us INTEGER NOT NULL,
  wake_at_ms INTEGER,
  begin_bytes INTEGER NOT NULL,        -- bytes of all events journaled before
  waiting_on TEXT,
  events TEXT NOT NULL                 -- a JSON array
) STRICT;

-- The same truth by instance: one row per execution and fold, appended, so that a big row costs no
-- reordering of others; only the small index below is written in random places.
CREATE TABLE history (
  history_id INTEGER PRIMARY KEY,
  instance_key INTEGER NOT NULL,
  execution_id INTEGER NOT NULL,
  first_event_id INTEGER NOT NULL,
  event_count INTEGER NOT NULL,
  events TEXT NOT NULL
) STRICT;
-- load and history: one execution in order.
CREATE UNIQUE INDEX history_by_execution ON history (instance_key, execution_id, first_event_id);

-- Lists by waiting_on: 'activity', 'timer', 'event', 'event:approval' ... One that waits for
-- 'event:approval' has a row for 'event' too.
CREATE TABLE waits (
  what TEXT NOT NULL,
  instance_key INTEGER NOT NULL,
  PRIMARY KEY (what, instance_key)
) STRICT, WITHOUT ROWID;

-- Lists by attribute. The value is JSON text.
CREATE TABLE attributes (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  instance_key INTEGER NOT NULL,
  PRIMARY KEY (key, value, instance_key)
) STRICT, WITHOUT ROWID;

-- Arrivals for instances that are not in memory. The receiver's turn deletes them.
CREATE TABLE messages (
  message_id INTEGER PRIMARY KEY,
  instance_key INTEGER NOT NULL,
  execution_id INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
-- load: what waits for one instance, in order.
CREATE INDEX messages_by_instance ON messages (instance_key);

-- Attempts of activities of task queues; and, in the queue '', what local ones tell by heartbeats.
CREATE TABLE jobs (
  job_id INTEGER PRIMARY KEY,
  instance_key INTEGER NOT NULL,
  execution_id INTEGER NOT NULL,
  event_id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  queue TEXT NOT NULL,
  name TEXT NOT NULL,
  activity_id TEXT,
  instance_id TEXT,
  created_at_ms INTEGER NOT NULL,
  lease_until_ms INTEGER NOT NULL,     -- in the past = free, also when its holder has died
  holder TEXT,                         -- NULL = nobody yet
  cancelled INTEGER NOT NULL,          -- 1 = held back
  claimed_at_ms INTEGER NOT NULL,      -- by its holder; 0 = not yet
  beat_at_ms INTEGER NOT NULL,         -- the holder's last heartbeat; 0 = none
  lost INTEGER NOT NULL,               -- holders that died with it
  input TEXT,
  options TEXT,
  heartbeat TEXT
) STRICT;
-- claim_jobs: the free and the expired ones of a queue.
CREATE INDEX jobs_by_queue ON jobs (queue, lease_until_ms);
-- Loading an instance, and deleting it with everything it owns.
CREATE INDEX jobs_by_instance ON jobs (instance_key);

-- Commands of other processes to the owner, and the owner's answers.
CREATE TABLE requests (
  request_id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  instance_id TEXT,
  instance_key INTEGER,
  posted_at_ms INTEGER NOT NULL,
  answered_at_ms INTEGER,              -- NULL = not yet
  body TEXT,
  answer TEXT
) STRICT;
-- Removing answers that nobody fetched.
CREATE INDEX requests_answered ON requests (answered_at_ms) WHERE answered_at_ms IS NOT NULL;

-- Lifetime totals, and the same by minute.
CREATE TABLE counters (
  name TEXT NOT NULL,
  metric TEXT NOT NULL,
  value INTEGER NOT NULL,
  PRIMARY KEY (name, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollups (
  minute_ms INTEGER NOT NULL,
  name TEXT NOT NULL,
  metric TEXT NOT NULL,
  value INTEGER NOT NULL,
  PRIMARY KEY (minute_ms, name, metric)
) STRICT, WITHOUT ROWID;

-- Who did what through the management API.
CREATE TABLE audit (
  audit_id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  actor TEXT,
  action TEXT NOT NULL,
  target TEXT,
  detail TEXT
) STRICT;

-- For people with the sqlite3 shell; the names are those of the Lua API, times are epoch seconds.
CREATE VIEW v_instances AS
SELECT
  id AS instance_id,
  name AS orchestration_name,
  version,
  status,
  created_at_ms / 1000.0 AS created_at,
  updated_at_ms / 1000.0 AS updated_at,
  completed_at_ms / 1000.0 AS completed_at,
  execution_id AS execution_count,
  parent_id AS parent_instance,
  parent_event_id AS parent_id,
  attributes,
  custom_status,
  waiting_on,
  wake_at_ms / 1000.0 AS wake_at,
  event_count,
  turns,
  reason,
  error,
  output
FROM instances;

-- An event says its time only where it differs from the one before it in the same array, and a
-- file's time never goes back: so the time of an event is the greatest so far. The window is parted
-- by i.id, so that a condition on instance_id reaches the tables below it.
CREATE VIEW v_events AS
WITH arrays AS (
  SELECT instance_key, execution_id, first_event_id, events FROM history
  UNION ALL
  SELECT instance_key, execution_id, first_event_id, events FROM journal
  WHERE seq > (SELECT folded_seq FROM marks) AND event_count > 0
)
SELECT
  i.id AS instance_id,
  i.name AS orchestration_name,
  a.execution_id AS execution_id,
  json_extract(e.value, '$.id') AS event_id,
  json_extract(e.value, '$.kind') AS kind,
  max(json_extract(e.value, '$.at')) OVER (
    PARTITION BY i.id, a.execution_id, a.first_event_id ORDER BY e.key
  ) / 1000.0 AS timestamp,
  json_extract(e.value, '$.name') AS name,
  json_extract(e.value, '$.source') AS source_event_id,
  json_remove(e.value, '$.id', '$.kind', '$.at', '$.name', '$.source') AS details
FROM arrays AS a
JOIN instances AS i ON i.instance_key = a.instance_key
JOIN json_each(a.events) AS e;

INSERT INTO meta (key, value) VALUES ('file_id', lower(hex(randomblob(16))));
INSERT INTO marks VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO lease (first_partition, last_partition, epoch) VALUES (0, 63, 0);
