-- What must hold of a file at every moment a process can die in, asked with the sqlite3 shell alone.
--
-- Each law is a query that gives the rows which break it. The memory of a scene holds what earlier looks
-- have seen, so that a seq or a key that is used twice is noticed even when its first user is gone.

local invariants = {}


-- At every moment.
local LAWS = {
  { "integrity_check", "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'" },
  { "event ids of an execution are 1, 2, 3, ...", [[
    SELECT instance_id, execution_id, min(event_id), max(event_id), count(*) FROM events
    GROUP BY instance_id, execution_id
    HAVING min(event_id) <> 1 OR max(event_id) <> count(*) OR count(DISTINCT event_id) <> count(*)]] },
  { "a completion has its scheduling event before it", [[
    SELECT e.instance_id, e.execution_id, e.event_id, e.kind FROM events AS e
    WHERE e.source_event_id > 0 AND NOT EXISTS (SELECT 1 FROM events AS s
      WHERE s.instance_id = e.instance_id AND s.execution_id = e.execution_id
        AND s.event_id = e.source_event_id AND s.event_id < e.event_id)]] },
  { "a result is recorded once", [[
    SELECT instance_id, execution_id, source_event_id, count(*) FROM events
    WHERE kind IN ('activity_completed', 'timer_fired', 'sub_orchestration_completed',
                   'sub_orchestration_failed', 'sub_orchestration_cancelled')
    GROUP BY instance_id, execution_id, source_event_id HAVING count(*) > 1]] },
  { "an execution ends once, and last", [[
    SELECT e.instance_id, e.execution_id, e.kind FROM events AS e
    WHERE e.kind LIKE 'orchestration_%ed' AND e.kind NOT IN ('orchestration_started', 'orchestration_chained')
      AND EXISTS (SELECT 1 FROM events AS l WHERE l.instance_id = e.instance_id
        AND l.execution_id = e.execution_id AND l.event_id > e.event_id)]] },
  { "the row's status is what its history says", [[
    SELECT i.id, i.status, e.kind FROM instances AS i JOIN events AS e
      ON e.instance_id = i.id AND e.execution_id = i.execution_id
    WHERE (i.status = 'completed') <> (e.kind = 'orchestration_completed')
      AND e.event_id = (SELECT max(event_id) FROM events AS l
        WHERE l.instance_id = i.id AND l.execution_id = i.execution_id)]] },
  { "every past execution has its row or an entry in the audit log, and no other has one", [[
    SELECT i.id, i.execution_id, count(x.execution_id) FROM instances AS i
    LEFT JOIN executions AS x ON x.instance_key = i.instance_key
    GROUP BY i.instance_key HAVING count(x.execution_id) > i.execution_id - 1
      OR count(x.execution_id) < i.execution_id - 1 AND NOT EXISTS (
        SELECT 1 FROM audit WHERE action LIKE 'prune%' AND detail ->> 'executions_deleted')]] },
  { "nothing is left of what is deleted", [[
    SELECT 'history', instance_key FROM history WHERE instance_key NOT IN (SELECT instance_key FROM instances)
    UNION ALL SELECT 'messages', instance_key FROM messages
      WHERE instance_key NOT IN (SELECT instance_key FROM instances)
    UNION ALL SELECT 'executions', instance_key FROM executions
      WHERE instance_key NOT IN (SELECT instance_key FROM instances)
    UNION ALL SELECT 'waits', instance_key FROM waits
      WHERE instance_key NOT IN (SELECT instance_key FROM instances)]] },
  { "what is listed is said of every instance up to the last listed one", [[
    SELECT instance_key, status, name, updated_at_ms, completed_at_ms, parent_id, wake_at_ms FROM instances
    WHERE instance_key <= (SELECT max(instance_key) FROM listed)
    EXCEPT SELECT * FROM listed
    UNION ALL SELECT l.* FROM listed AS l WHERE instance_key NOT IN (SELECT instance_key FROM instances)]] },
  { "the marks are above everything given out", [[
    SELECT * FROM marks WHERE folded_seq > last_seq
      OR last_seq < (SELECT coalesce(max(seq), 0) FROM journal)
      OR max(last_key, last_client_key) < (SELECT coalesce(max(instance_key), 0) FROM instances)
      OR last_message_id < (SELECT coalesce(max(message_id), 0) FROM messages)]] },
  { "the totals are the sums", [[
    SELECT instance_count, history_event_count FROM marks
    WHERE instance_count <> (SELECT count(*) FROM instances)
      OR history_event_count <> (SELECT coalesce(sum(event_count), 0) FROM history)]] },
  { "who is woken by nobody has nothing to do", [[
    SELECT i.id, i.wake_at_ms, count(*) FROM instances AS i JOIN messages AS m USING (instance_key)
    WHERE i.status = 'running' AND i.wake_at_ms IS NULL GROUP BY i.instance_key]] },
}

-- When all work is done.
local LAWS_OF_THE_END = {
  { "everything has ended", [[SELECT id, status, waiting_on, error FROM instances
    WHERE status NOT IN ('completed', 'failed', 'cancelled', 'terminated')]] },
  { "every activity of what completed has one result", [[
    SELECT s.instance_id, s.execution_id, s.event_id, s.name FROM events AS s
    JOIN instances AS i ON i.id = s.instance_id AND i.status = 'completed'
    WHERE s.kind = 'activity_scheduled' AND (SELECT count(*) FROM events AS e
      WHERE e.instance_id = s.instance_id AND e.execution_id = s.execution_id
        AND e.source_event_id = s.event_id AND e.kind IN ('activity_completed', 'activity_cancelled')) <> 1
      AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.instance_id = s.instance_id
        AND e.execution_id = s.execution_id AND e.source_event_id = s.event_id AND e.kind = 'activity_failed')]] },
  { "every child of what completed has one result", [[
    SELECT s.instance_id, s.execution_id, s.event_id, s.name FROM events AS s
    JOIN instances AS i ON i.id = s.instance_id AND i.status = 'completed'
    WHERE s.kind = 'sub_orchestration_scheduled' AND (SELECT count(*) FROM events AS e
      WHERE e.instance_id = s.instance_id AND e.execution_id = s.execution_id
        AND e.source_event_id = s.event_id AND e.kind LIKE 'sub_orchestration_%') <> 1]] },
  { "no message is left", "SELECT message_id, instance_key, body FROM messages" },
}

-- The view without the columns that cost.
local EVENTS = [[
CREATE TEMP TABLE events AS SELECT instance_id, execution_id, event_id, kind, name, source_event_id FROM v_events;
CREATE INDEX temp.events_by_id ON events (instance_id, execution_id, event_id);
CREATE INDEX temp.events_by_source ON events (instance_id, execution_id, source_event_id);
]]

-- What the memory compares: rows of the journal, keys, and the marks.
local FACTS = [[
SELECT 'fact', 'seq', seq, instance_key || '/' || execution_id || '/' || first_event_id FROM journal;
SELECT 'fact', 'key', instance_key, id || ' of ' || created_at_ms FROM instances;
SELECT 'fact', 'mark', 'last_seq', last_seq FROM marks;
SELECT 'fact', 'mark', 'last_key', last_key FROM marks;
SELECT 'fact', 'id', id, status FROM instances;
]]


--- What a scene remembers from look to look.
function invariants.memory()
  return { seq = {}, key = {}, mark = {} }
end


-- A seq or key means what it meant, and a new one is above the mark of the look before.
local function compare(memory, kind, number, meaning, mark, complaints)
  local known = memory[kind][number]
  if known and known ~= meaning then
    complaints[#complaints + 1] = ("%s %s was used twice: %s, then %s"):format(kind, number, known, meaning)
  elseif not known and mark and tonumber(number) <= mark then
    complaints[#complaints + 1] = ("%s %s is given out again: %s (the mark was %.0f)"):format(kind, number,
      meaning, mark)
  end
  memory[kind][number] = meaning
end


local function remember(memory, facts, complaints)
  local before, ids = { seq = memory.mark.last_seq, key = memory.mark.last_key }, {}
  for _, fact in ipairs(facts) do
    local kind, name, value = fact[2], fact[3], fact[4]
    if kind == "mark" then
      local number = tonumber(value)
      if memory.mark[name] and number < memory.mark[name] then
        complaints[#complaints + 1] = ("%s went back to %s"):format(name, value)
      end
      memory.mark[name] = number
    elseif kind == "id" then
      ids[name] = value
    else
      compare(memory, kind, name, value, before[kind], complaints)
    end
  end
  return ids
end


-- Whatever was promised is in the file; what was deleted on purpose is in the log "deleted".
local function check_acknowledged(scene, ids, complaints)
  local deleted = {}
  for _, id in ipairs(scene:log("deleted")) do deleted[id] = true end
  for _, line in ipairs(scene:log("acks")) do
    local id = line:match("^start (.*)$")
    if id and not ids[id] and not deleted[id] then
      complaints[#complaints + 1] = ("the start of '%s' was acknowledged, and it is gone"):format(id)
    end
  end
end


--- All that is broken, as lines. options.ended: nothing may be left to do.
function invariants.complaints(scene, options)
  local complaints, facts, parts = {}, {}, { EVENTS }
  for _, laws in ipairs { LAWS, options.ended and LAWS_OF_THE_END or {} } do
    for _, law in ipairs(laws) do
      parts[#parts + 1] = ("SELECT 'broken', '%s', * FROM (%s);\n"):format(law[1]:gsub("'", "''"), law[2])
    end
  end
  if not scene:value("SELECT 1 FROM sqlite_schema WHERE name = 'marks'") then return {} end -- not made yet
  for _, row in ipairs(scene:query(table.concat(parts) .. FACTS)) do
    if row[1] == "fact" then facts[#facts + 1] = row
    else complaints[#complaints + 1] = table.concat(row, " | ") end
  end
  local ids = remember(scene.memory, facts, complaints)
  check_acknowledged(scene, ids, complaints)
  return complaints
end


return invariants
