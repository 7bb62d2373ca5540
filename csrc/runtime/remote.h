// remote: a process that is not the owner and asks it through the file.
#ifndef DURO_RUNTIME_REMOTE_H
#define DURO_RUNTIME_REMOTE_H

#include "runtime/internal.h"

bool duro__remote_look(duro_runtime *rt); // fetches answers that have come; true when there was one
int64_t duro__remote_poll_ms(const duro_runtime *rt);
void duro__remote_free(duro_runtime *rt);

// What one call writes: rows of instances to start, and requests (remote_post.c). Everything lives in
// its arena.
typedef struct duro__posting {
  struct duro__posting *next;
  duro_request *request;
  duro_arena arena;
  DURO__VEC(duro_instance_row) inserts;
  DURO__VEC(duro_request_row) requests;
  DURO__VEC(int64_t) ids; // of the requests, once posted
  bool awaits;            // the owner's answer is waited for
  bool alone;             // it failed together with others: by itself now
  const duro__call_verb *verb;
  duro_str args; // to begin again with, when the id was taken meanwhile
} duro__posting;

duro__posting *duro__posting_new(duro_request *r, const duro__call_verb *verb, duro_str args);
void duro__posting_free(duro__posting *p);
// Adds a request row; `args` is copied. False when memory is out.
bool duro__posting_ask(duro__posting *p, const char *kind, duro_str instance_id, bool adopt,
                       duro_str args, int64_t now_ms);
void duro__posting_push(duro_runtime *rt,
                        duro__posting *p); // owned; answers its request in the end

#endif
