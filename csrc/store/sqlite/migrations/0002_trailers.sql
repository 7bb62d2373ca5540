-- 0002: the commit of a step writes one page.
--
-- Marks and counts had pages of their own, which every commit wrote. Now the last row of a batch in the
-- journal carries both (chain.c), and folding brings them into their tables.

ALTER TABLE journal ADD COLUMN trailer TEXT; -- on a batch's last row, JSON: its marks and counts

-- As of the last fold, or the last batch without a turn.
ALTER TABLE marks RENAME TO settled_marks;

-- The trailer of the newest batch, if that is newer than settled_marks: one row or none. It leaves out what
-- its row or settled_marks says.
CREATE VIEW trailer AS
SELECT
  j.trailer AS body,
  coalesce(j.trailer ->> '$.seq', j.seq) AS last_seq,
  coalesce(j.trailer ->> '$.at', j.at_ms) AS latest_ms,
  j.begin_bytes + length(CAST(j.events AS BLOB)) AS journal_bytes
FROM journal AS j
WHERE j.seq = (SELECT max(seq) FROM journal)
  AND j.trailer ->> '$.batch' > (SELECT last_batch FROM settled_marks);

-- The marks as they stand. The last two columns are what settled_marks lacks.
CREATE VIEW marks AS
SELECT
  coalesce(t.body ->> '$.batch', m.last_batch) AS last_batch,
  coalesce(t.last_seq, m.last_seq) AS last_seq,
  m.folded_seq,
  m.trimmed_seq,
  coalesce(t.body ->> '$.key', m.last_key) AS last_key,
  m.last_client_key,
  coalesce(t.body ->> '$.message', m.last_message_id) AS last_message_id,
  coalesce(t.body ->> '$.job', m.last_job_id) AS last_job_id,
  max(m.latest_ms, coalesce(t.latest_ms, 0)) AS latest_ms,
  coalesce(t.journal_bytes, m.journal_bytes) AS journal_bytes,
  m.instance_count + coalesce(t.body ->> '$.instances', 0) AS instance_count,
  m.history_event_count + coalesce(t.body ->> '$.events', 0) AS history_event_count,
  coalesce(t.body ->> '$.instances', 0) AS unsettled_instances,
  coalesce(t.body ->> '$.events', 0) AS unsettled_events
FROM settled_marks AS m LEFT JOIN trailer AS t;

-- Counts that are not in `counters` and `rollups` yet: [name, metric, minute_ms, delta] each.
CREATE VIEW unsettled_counts AS
SELECT
  value ->> 0 AS name,
  value ->> 1 AS metric,
  value ->> 2 AS minute_ms, -- 0 = a level, which has no rollup
  value ->> 3 AS delta
FROM trailer JOIN json_each(trailer.body, '$.counts');
