// work.c: an attempt on a worker thread, as that thread sees it: what it is asked to do, and the notes by
// which it tells the loop (threads.c) how it goes.
//
// Thread: what begins with duro_work_ runs on the worker's thread, and touches no more than its work and,
// under the pool's lock, the list of notes.
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/threads.h"

// --- Works and notes ---

static void put(char **at, duro_str s, duro_str *out) {
  *out = DURO_NONE;
  if (!s.p) return;
  memcpy(*at, s.p, s.n);
  (*at)[s.n] = 0;
  *out = (duro_str){*at, s.n};
  *at += s.n + 1;
}

duro_work *duro__work_new(duro__pool *p, duro_job *job, const duro_job_info *info, duro_str call) {
  size_t size = info->instance_id.n + info->name.n + info->activity_id.n + info->input.n +
                info->heartbeat_details.n + call.n + 6;
  duro_work *w = calloc(1, sizeof *w + size);
  if (!w) return NULL;
  char *at = (char *)(w + 1);
  put(&at, info->instance_id, &w->info.instance_id);
  put(&at, info->name, &w->info.name);
  put(&at, info->activity_id, &w->info.activity_id);
  put(&at, info->input, &w->info.input);
  put(&at, info->heartbeat_details, &w->info.heartbeat_details);
  put(&at, call, &w->call);
  w->info.attempt = info->attempt;
  w->pool = p;
  w->job = job;
  w->begun = (duro__note){.kind = DURO__NOTE_BEGUN, .work = w};
  w->beat = (duro__note){.kind = DURO__NOTE_BEAT, .work = w};
  w->sleep = (duro__note){.kind = DURO__NOTE_SLEEP, .work = w};
  w->done = (duro__note){.kind = DURO__NOTE_DONE, .work = w};
  return w;
}

void duro__work_free(duro_work *w) {
  duro_buf_free(&w->details);
  duro_buf_free(&w->result);
  free(w);
}

void duro__note_add(duro__pool *p, duro__note *n) {
  if (n->waits) return;
  n->waits = true;
  n->next = NULL;
  if (p->notes_tail)
    p->notes_tail->next = n;
  else
    p->notes_head = n;
  p->notes_tail = n;
  p->note_count++;
  if (p->rt) uv_async_send(&p->rt->wake);
}

// --- A thread's side ---

DURO_EXPORT const duro_job_info *duro_work_info(const duro_work *w) { return &w->info; }

DURO_EXPORT duro_str duro_work_call(const duro_work *w) { return w->call; }

DURO_EXPORT bool duro_work_cancelled(const duro_work *w) {
  return atomic_load(&((duro_work *)w)->cancelled);
}

DURO_EXPORT duro_code duro_work_heartbeat(duro_work *w, duro_str details, duro_error **err) {
  if (details.n > DURO_MAX_PAYLOAD_BYTES) {
    return duro_fail(err, DURO_TOO_LARGE, "heartbeat details are %zu bytes; %d are allowed",
                     details.n, DURO_MAX_PAYLOAD_BYTES);
  }
  uv_mutex_lock(&w->pool->lock);
  if (details.p) {
    duro_buf_clear(&w->details);
    duro_buf_add_str(&w->details, details);
  }
  duro_code code = w->details.oom ? duro_fail_oom(err) : DURO_OK;
  if (!code && w->pool->rt) duro__note_add(w->pool, &w->beat);
  uv_mutex_unlock(&w->pool->lock);
  return code;
}

DURO_EXPORT bool duro_work_sleep(duro_work *w, int64_t ms) {
  duro__pool *p = w->pool;
  uv_mutex_lock(&p->lock);
  if (p->rt && !atomic_load(&w->cancelled)) {
    w->sleep_ms = ms;
    w->asleep = true;
    duro__note_add(p, &w->sleep);
  }
  while (w->asleep && p->rt && !atomic_load(&w->cancelled)) uv_cond_wait(&p->woken, &p->lock);
  w->asleep = false;
  uv_mutex_unlock(&p->lock);
  return !atomic_load(&w->cancelled);
}

DURO_EXPORT void duro_work_log(duro_work *w, const char *level, const char *message,
                               duro_str fields) {
  size_t level_n = strlen(level) + 1, message_n = strlen(message) + 1;
  duro__log_note *line = calloc(1, sizeof *line + level_n + message_n + fields.n + 1);
  if (!line) return;
  char *at = (char *)(line + 1);
  line->note = (duro__note){.kind = DURO__NOTE_LOG, .work = w};
  line->level = memcpy(at, level, level_n);
  line->message = memcpy(at + level_n, message, message_n);
  at += level_n + message_n;
  put(&at, fields, &line->fields);
  uv_mutex_lock(&w->pool->lock);
  bool open = w->pool->rt != NULL;
  if (open) duro__note_add(w->pool, &line->note);
  uv_mutex_unlock(&w->pool->lock);
  if (!open) free(line);
}

static void end(duro_work *w, bool failed, duro_str result) {
  if (w->ended) return;
  w->ended = true;
  w->failed = failed;
  duro_buf_add_str(&w->result, result);
}

DURO_EXPORT void duro_work_complete(duro_work *w, duro_str output) { end(w, false, output); }

DURO_EXPORT void duro_work_fail(duro_work *w, duro_str error) { end(w, true, error); }
