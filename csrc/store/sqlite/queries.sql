-- The statements of the SQLite store, each under its name. queries.h lists the same names; both
-- must agree, or no file opens. {name} stands for the fragment of that name. Fragments are
-- completed in C: the parts of an UPDATE of instances (instances.c) and of a list (list_sql.c),
-- where each `?` takes the next value.

-- --- Transactions ---

-- name: begin_write
BEGIN IMMEDIATE

-- name: begin_read
BEGIN

-- name: commit_transaction
COMMIT

-- name: rollback_transaction
ROLLBACK

-- name: read_data_version
PRAGMA data_version

-- --- Marks and lease ---

-- name: read_marks
SELECT last_batch, last_seq, folded_seq, trimmed_seq, last_key, last_client_key, last_message_id,
  last_job_id, latest_ms,
  (SELECT epoch FROM lease WHERE first_partition = 0),
  (SELECT value FROM meta WHERE key = 'file_id'),
  (SELECT coalesce(max(audit_id), 0) FROM audit)
FROM marks

-- name: read_chain
SELECT l.epoch, m.last_batch, m.last_seq, m.last_key, m.last_message_id, m.last_job_id, m.latest_ms,
  m.journal_bytes, m.unsettled_instances, m.unsettled_events,
  (SELECT coalesce(max(instance_key), 0) FROM listed), (SELECT last_key FROM settled_marks)
FROM marks AS m JOIN lease AS l ON l.first_partition = 0

-- name: read_unsettled_counts
SELECT minute_ms, name, metric, delta FROM unsettled_counts

-- name: settle_marks
UPDATE settled_marks SET
  last_batch = ?1,
  last_seq = ?2,
  last_key = ?3,
  last_message_id = ?4,
  last_job_id = ?5,
  latest_ms = max(latest_ms, ?6),
  journal_bytes = ?7,
  instance_count = instance_count + ?8,
  history_event_count = history_event_count + ?9

-- name: read_lease
SELECT epoch, owner, host, pid, acquired_at_ms, expires_at_ms FROM lease WHERE first_partition = 0

-- name: take_lease
UPDATE lease SET
  epoch = epoch + 1, owner = ?, host = ?, pid = ?, acquired_at_ms = ?, expires_at_ms = ?

-- name: renew_lease
UPDATE lease SET expires_at_ms = ?2 WHERE epoch = ?1 AND owner IS NOT NULL

-- name: release_lease
UPDATE lease SET owner = NULL, host = NULL, pid = NULL, acquired_at_ms = NULL, expires_at_ms = NULL
WHERE epoch = ?1 AND owner IS NOT NULL

-- --- Instances ---

-- name: instance_columns
i.instance_key, i.id, i.run_id, i.vm, i.partition, i.name, i.version,
i.status, i.created_at_ms, i.updated_at_ms, i.completed_at_ms, i.execution_id,
i.execution_started_at_ms, i.event_count, i.turns, i.turn_us_total, i.parent_key, i.parent_id,
i.parent_event_id, i.parent_execution_id, i.depth, i.wake_at_ms, i.waiting_on, i.custom_status,
i.custom_status_version, i.attributes, i.reason, i.error, i.output

-- The same without the texts, which may be long and lie on pages of their own.

-- name: brief_columns
i.instance_key, i.id, NULL, i.vm, i.partition, i.name, i.version,
i.status, i.created_at_ms, i.updated_at_ms, i.completed_at_ms, i.execution_id,
i.execution_started_at_ms, i.event_count, i.turns, i.turn_us_total, i.parent_key, i.parent_id,
i.parent_event_id, i.parent_execution_id, i.depth, i.wake_at_ms, NULL, NULL,
i.custom_status_version, NULL, NULL, NULL, NULL

-- name: insert_instance
INSERT INTO instances (
  instance_key, id, run_id, vm, partition, name, version, status, created_at_ms, updated_at_ms,
  completed_at_ms, execution_id, execution_started_at_ms, event_count, turns, turn_us_total,
  parent_key, parent_id, parent_event_id, parent_execution_id, depth, wake_at_ms, waiting_on,
  custom_status, custom_status_version, attributes, reason, error, output)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: read_instance_by_id
SELECT {instance_columns} FROM instances AS i WHERE i.id = ?

-- name: read_instance_by_key
SELECT {instance_columns} FROM instances AS i WHERE i.instance_key = ?

-- name: read_instance_index_texts
SELECT waiting_on, attributes FROM instances WHERE instance_key = ?

-- name: read_listed_to
SELECT coalesce(max(instance_key), 0) FROM listed

-- name: insert_listed
INSERT INTO listed
SELECT instance_key, status, name, updated_at_ms, completed_at_ms, parent_id, wake_at_ms
FROM instances WHERE instance_key = ?

-- name: insert_new_listed
INSERT INTO listed
SELECT instance_key, status, name, updated_at_ms, completed_at_ms, parent_id, wake_at_ms
FROM instances WHERE instance_key > ? ORDER BY instance_key LIMIT ?

-- The same up to the sixteenth that has not ended.

-- name: insert_ended_listed
INSERT INTO listed
SELECT instance_key, status, name, updated_at_ms, completed_at_ms, parent_id, wake_at_ms
FROM instances
WHERE instance_key > ?1 AND instance_key < coalesce((
  SELECT instance_key FROM instances WHERE instance_key > ?1 AND completed_at_ms IS NULL
  ORDER BY instance_key LIMIT 1 OFFSET 15
), 9223372036854775807)
ORDER BY instance_key

-- name: delete_listed
DELETE FROM listed WHERE instance_key = ?

-- name: read_projection
SELECT status, updated_at_ms, execution_id, event_count, wake_at_ms, wake_seq, counted_seq,
  waiting_on
FROM instances WHERE instance_key = ?

-- name: delete_instance
DELETE FROM instances WHERE instance_key = ?

-- The parts of an UPDATE of one row. Numbers are fixed, so that any choice of parts fits together.

-- name: set_begin
UPDATE instances SET

-- name: set_listed_begin
UPDATE listed SET

-- name: set_end
WHERE instance_key = ?1

-- name: set_updated
updated_at_ms = ?2

-- name: set_status
status = ?3, completed_at_ms = ?4, output = ?5, error = ?6, reason = ?7

-- name: set_listed_status
status = ?3, completed_at_ms = ?4

-- name: set_execution
execution_id = ?8, execution_started_at_ms = ?9, version = ?10, event_count = 0, vm = ?20

-- name: set_custom_status
custom_status = ?11, custom_status_version = ?12

-- name: set_attributes
attributes = ?13

-- name: set_wake
wake_at_ms = ?14

-- name: set_wake_seq
wake_seq = ?15

-- name: set_waiting_on
waiting_on = ?16

-- name: set_counts
event_count = ?17, turns = turns + ?18, turn_us_total = turn_us_total + ?19, counted_seq = ?21

-- name: insert_wait
INSERT OR IGNORE INTO waits (what, instance_key) VALUES (?, ?)

-- name: delete_wait
DELETE FROM waits WHERE what = ? AND instance_key = ?

-- name: insert_attribute
INSERT OR IGNORE INTO attributes (key, value, instance_key) VALUES (?, ?, ?)

-- name: delete_attribute
DELETE FROM attributes WHERE key = ? AND value = ? AND instance_key = ?

-- The last part of each is of those that are not listed yet.

-- name: read_due
SELECT l.instance_key, l.status, l.wake_at_ms, i.vm, i.name, i.version
FROM listed AS l INDEXED BY instances_by_wake
CROSS JOIN instances AS i ON i.instance_key = l.instance_key
WHERE l.wake_at_ms = ?1 AND l.instance_key > ?2 AND l.wake_at_ms <= ?3
  AND l.wake_at_ms IS NOT NULL AND l.status IN ('pending', 'running')
UNION ALL
SELECT l.instance_key, l.status, l.wake_at_ms, i.vm, i.name, i.version
FROM listed AS l INDEXED BY instances_by_wake
CROSS JOIN instances AS i ON i.instance_key = l.instance_key
WHERE l.wake_at_ms > ?1 AND l.wake_at_ms <= ?3
  AND l.wake_at_ms IS NOT NULL AND l.status IN ('pending', 'running')
UNION ALL
SELECT i.instance_key, i.status, i.wake_at_ms, i.vm, i.name, i.version
FROM instances AS i NOT INDEXED
WHERE i.instance_key > (SELECT coalesce(max(instance_key), 0) FROM listed)
  AND (i.wake_at_ms, i.instance_key) > (?1, ?2) AND i.wake_at_ms <= ?3
  AND i.status IN ('pending', 'running')
ORDER BY 3, 1 LIMIT ?4

-- The last value is what DURO_NEVER is.

-- name: read_next_wake
SELECT min(
  coalesce((
    SELECT l.wake_at_ms FROM listed AS l INDEXED BY instances_by_wake
    WHERE l.wake_at_ms > ?1 AND l.wake_at_ms IS NOT NULL AND l.status IN ('pending', 'running')
    ORDER BY l.wake_at_ms LIMIT 1
  ), 9223372036854775807),
  coalesce((
    SELECT min(i.wake_at_ms) FROM instances AS i NOT INDEXED
    WHERE i.instance_key > (SELECT coalesce(max(instance_key), 0) FROM listed)
      AND i.wake_at_ms > ?1 AND i.status IN ('pending', 'running')
  ), 9223372036854775807))

-- --- Journal, history, executions ---

-- name: insert_turn
INSERT INTO journal (
  seq, instance_key, execution_id, first_event_id, event_count, status, at_ms, turn_us, wake_at_ms,
  begin_bytes, waiting_on, events, trailer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: read_folded_seq
SELECT folded_seq FROM settled_marks

-- name: read_turns_to_fold
SELECT seq, instance_key, execution_id, first_event_id, event_count, at_ms, turn_us, wake_at_ms,
  waiting_on, events
FROM journal WHERE seq > ? ORDER BY seq LIMIT ?

-- name: insert_history
INSERT INTO history (instance_key, execution_id, first_event_id, event_count, events)
VALUES (?, ?, ?, ?, ?)

-- name: update_fold_marks
UPDATE settled_marks SET folded_seq = ?, history_event_count = history_event_count + ?

-- name: read_turn_from
SELECT seq, at_ms, begin_bytes FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1

-- name: delete_turns_before
DELETE FROM journal WHERE seq < ?

-- name: update_trimmed
UPDATE settled_marks SET trimmed_seq = ?

-- name: read_history
SELECT events FROM history INDEXED BY history_by_execution
WHERE instance_key = ? AND execution_id = ? ORDER BY first_event_id

-- name: read_tail
SELECT events FROM journal
WHERE seq > (SELECT folded_seq FROM settled_marks) AND +instance_key = ? AND +execution_id = ?
  AND event_count > 0
ORDER BY seq

-- name: sum_history
SELECT total(event_count) FROM history INDEXED BY history_by_execution WHERE instance_key = ?

-- name: sum_execution_history
SELECT total(event_count) FROM history INDEXED BY history_by_execution
WHERE instance_key = ? AND execution_id = ?

-- name: delete_history
DELETE FROM history WHERE instance_key = ?

-- name: delete_execution_history
DELETE FROM history WHERE instance_key = ? AND execution_id = ?

-- name: insert_execution
INSERT INTO executions (
  instance_key, execution_id, status, version, started_at_ms, completed_at_ms, event_count, reason)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
WHERE EXISTS (SELECT 1 FROM instances WHERE instance_key = ?1)

-- name: read_executions
SELECT execution_id, status, version, started_at_ms, completed_at_ms, event_count, reason
FROM executions WHERE instance_key = ? ORDER BY execution_id

-- name: has_execution
SELECT 1 FROM executions WHERE instance_key = ? AND execution_id = ?

-- name: read_current_execution
SELECT execution_id FROM instances WHERE instance_key = ?

-- name: delete_execution
DELETE FROM executions WHERE instance_key = ? AND execution_id = ?

-- name: delete_executions
DELETE FROM executions WHERE instance_key = ?

-- name: read_changes
SELECT j.seq, j.instance_key, j.execution_id, j.first_event_id, j.event_count, j.status, j.at_ms,
  i.id, i.name, j.events
FROM journal AS j LEFT JOIN instances AS i ON i.instance_key = j.instance_key
WHERE j.seq > ? ORDER BY j.seq LIMIT ?

-- name: read_oldest_seq
SELECT trimmed_seq + 1 FROM settled_marks

-- --- Messages and jobs ---

-- name: insert_message
INSERT INTO messages (message_id, instance_key, execution_id, body)
SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM instances WHERE instance_key = ?2)

-- name: delete_message
DELETE FROM messages WHERE message_id = ?

-- name: delete_messages
DELETE FROM messages WHERE instance_key = ?

-- name: read_messages
SELECT message_id, execution_id, body FROM messages INDEXED BY messages_by_instance
WHERE instance_key = ? ORDER BY message_id

-- name: job_columns
job_id, instance_key, execution_id, event_id, attempt, queue, name, activity_id, instance_id,
created_at_ms, lease_until_ms, holder, cancelled, claimed_at_ms, beat_at_ms, lost, input, options,
heartbeat

-- name: insert_job
INSERT OR REPLACE INTO jobs ({job_columns})
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19
WHERE EXISTS (SELECT 1 FROM instances WHERE instance_key = ?2)

-- name: delete_job
DELETE FROM jobs WHERE job_id = ?

-- name: delete_jobs
DELETE FROM jobs WHERE instance_key = ?

-- A job that may be claimed by ?1: its queue, the present, and the names of activities as a JSON array
-- (NULL: any) follow.

-- name: claimable
FROM jobs INDEXED BY jobs_by_queue
WHERE queue = ?2 AND lease_until_ms <= ?3 AND cancelled = 0 AND holder IS NOT ?1
  AND (?4 IS NULL OR name IN (SELECT value FROM json_each(?4) AS l))

-- name: find_claimable
SELECT 1 {claimable} LIMIT 1

-- name: claim_jobs
UPDATE jobs SET
  lost = lost + (holder IS NOT NULL),
  holder = ?1, lease_until_ms = ?6, claimed_at_ms = ?7, beat_at_ms = 0
WHERE job_id IN (SELECT job_id {claimable} ORDER BY lease_until_ms, job_id LIMIT ?5)
RETURNING {job_columns}

-- name: renew_job
UPDATE jobs SET
  lease_until_ms = ?3,
  heartbeat = coalesce(?4, heartbeat),
  beat_at_ms = coalesce(?5, beat_at_ms)
WHERE job_id = ?1 AND holder = ?2 AND cancelled = 0

-- name: read_job
SELECT {job_columns} FROM jobs WHERE job_id = ?

-- name: read_jobs_of_instance
SELECT {job_columns} FROM jobs INDEXED BY jobs_by_instance WHERE instance_key = ? ORDER BY job_id

-- name: read_queue_state
SELECT
  count(*) FILTER (WHERE lease_until_ms <= ?2 AND cancelled = 0),
  count(*) FILTER (WHERE lease_until_ms > ?2 AND holder IS NOT NULL),
  coalesce(min(created_at_ms) FILTER (WHERE lease_until_ms <= ?2 AND cancelled = 0), 0)
FROM jobs INDEXED BY jobs_by_queue WHERE queue = ?1

-- The same of all task queues: '' is none.

-- name: read_all_queues
SELECT
  count(*) FILTER (WHERE lease_until_ms <= ?1 AND cancelled = 0),
  count(*) FILTER (WHERE lease_until_ms > ?1 AND holder IS NOT NULL),
  coalesce(min(created_at_ms) FILTER (WHERE lease_until_ms <= ?1 AND cancelled = 0), 0)
FROM jobs INDEXED BY jobs_by_queue WHERE queue > ''

-- name: delete_held_job
DELETE FROM jobs WHERE job_id = ? AND holder = ?

-- --- Requests ---

-- name: read_post_marks
SELECT last_client_key FROM settled_marks

-- name: update_post_marks
UPDATE settled_marks SET
  last_client_key = max(last_client_key, ?1),
  latest_ms = max(latest_ms, ?2),
  instance_count = instance_count + ?3

-- name: insert_request
INSERT INTO requests (kind, instance_id, instance_key, posted_at_ms, body) VALUES (?, ?, ?, ?, ?)

-- name: read_requests
SELECT request_id, kind, instance_id, instance_key, posted_at_ms, body, answer FROM requests
WHERE request_id > ? AND answered_at_ms IS NULL ORDER BY request_id LIMIT ?

-- name: read_request
SELECT request_id, kind, instance_id, instance_key, posted_at_ms, body, answer FROM requests
WHERE request_id = ?

-- name: answer_request
UPDATE requests SET answer = ?2, answered_at_ms = ?3 WHERE request_id = ?1

-- name: delete_request
DELETE FROM requests WHERE request_id = ?

-- name: forget_request
DELETE FROM requests WHERE request_id = ? AND answered_at_ms IS NOT NULL

-- name: delete_old_answers
DELETE FROM requests WHERE answered_at_ms < ?

-- --- Figures ---

-- name: add_to_counter
INSERT INTO counters (name, metric, value) VALUES (?, ?, ?)
ON CONFLICT (name, metric) DO UPDATE SET value = value + excluded.value

-- name: add_to_rollup
INSERT INTO rollups (minute_ms, name, metric, value) VALUES (?, ?, ?, ?)
ON CONFLICT (minute_ms, name, metric) DO UPDATE SET value = value + excluded.value

-- name: delete_old_rollups
DELETE FROM rollups WHERE minute_ms < ?

-- What is in no table yet comes as rows of its own, right behind those it adds to.
-- name: read_counters
SELECT 0, name, metric, value FROM counters
UNION ALL SELECT 0, name, metric, delta FROM unsettled_counts
ORDER BY 2, 3

-- name: sum_rollups
SELECT 0, name, metric, sum(value) FROM rollups WHERE minute_ms >= ?1 AND minute_ms < ?2
GROUP BY name, metric
UNION ALL SELECT 0, name, metric, delta FROM unsettled_counts
WHERE minute_ms >= max(?1, 1) AND minute_ms < ?2
ORDER BY 2, 3

-- name: read_rollups
SELECT minute_ms, name, metric, value FROM rollups WHERE minute_ms >= ?1 AND minute_ms < ?2
UNION ALL SELECT minute_ms, name, metric, delta FROM unsettled_counts
WHERE minute_ms >= max(?1, 1) AND minute_ms < ?2
ORDER BY 1, 2, 3

-- name: insert_audit
INSERT INTO audit (audit_id, at_ms, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)

-- name: delete_audit
DELETE FROM audit WHERE audit_id <= ?

-- name: read_audit
SELECT audit_id, at_ms, actor, action, target, detail FROM audit
WHERE audit_id < ?1 ORDER BY audit_id DESC LIMIT ?2

-- name: read_stats
SELECT m.instance_count,
  m.history_event_count
    + (SELECT coalesce(sum(event_count), 0) FROM journal WHERE seq > m.folded_seq),
  (SELECT count(*) FROM journal WHERE seq > m.folded_seq),
  (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)
FROM marks AS m

-- name: read_meta
SELECT value FROM meta WHERE key = ?

-- name: write_meta
INSERT INTO meta (key, value) VALUES (?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- --- Lists: where they read from ---

-- Up to which key instances are listed, and which is the greatest of all.

-- name: read_unlisted
SELECT coalesce((SELECT max(instance_key) FROM listed), 0),
  coalesce((SELECT max(instance_key) FROM instances), 0)

-- name: from_key
FROM instances AS i NOT INDEXED

-- name: from_id
FROM instances AS i INDEXED BY instances_by_id

-- name: only_status
FROM listed AS l INDEXED BY instances_by_status

-- name: from_status
FROM listed AS l INDEXED BY instances_by_status
CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- name: only_name
FROM listed AS l INDEXED BY instances_by_name

-- name: from_name
FROM listed AS l INDEXED BY instances_by_name
CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- name: only_updated
FROM listed AS l INDEXED BY instances_by_updated

-- name: from_updated
FROM listed AS l INDEXED BY instances_by_updated
CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- name: only_completed
FROM listed AS l INDEXED BY instances_by_completed

-- name: from_completed
FROM listed AS l INDEXED BY instances_by_completed
CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- name: only_parent
FROM listed AS l INDEXED BY instances_by_parent

-- name: from_parent
FROM listed AS l INDEXED BY instances_by_parent
CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- name: from_ids
FROM (SELECT DISTINCT value FROM json_each(?)) AS l
CROSS JOIN instances AS i INDEXED BY instances_by_id ON i.id = l.value

-- name: only_attribute
FROM attributes AS l

-- name: only_wait
FROM waits AS l

-- name: from_attribute
FROM attributes AS l CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- name: from_wait
FROM waits AS l CROSS JOIN instances AS i NOT INDEXED ON i.instance_key = l.instance_key

-- --- Lists: conditions ---

-- name: where_created_after
i.created_at_ms > ?

-- name: where_created_before
i.created_at_ms < ?

-- name: where_version
i.version = ?

-- name: where_root
i.parent_key IS NULL

-- name: where_child
i.parent_key IS NOT NULL

-- name: where_unfinished
i.completed_at_ms IS NULL

-- name: where_error_contains
instr(i.error, ?) > 0

-- name: where_attribute
EXISTS (SELECT 1 FROM attributes AS x
  WHERE x.key = ? AND x.value = ? AND x.instance_key = i.instance_key)

-- name: where_wait
EXISTS (SELECT 1 FROM waits AS x WHERE x.what = ? AND x.instance_key = i.instance_key)
