// conceal: payloads in the form that the host wants them stored in (duro_program_ops: conceal, reveal).
//
// The host hands payloads over as it works with them: what its code asks for, outputs and errors of
// activities, heartbeats. Each takes its stored form on the way into history, here and nowhere else.
// (Arguments of duro_call and answers of `inspect` are the host's own to conceal: they may cross the
// file on their way.) Back they go as they are stored; only where the core itself must know the value
// (comparing, worker threads) it asks for the plain one.
#ifndef DURO_REPLAY_CONCEAL_H
#define DURO_REPLAY_CONCEAL_H

#include "replay/program.h"

// Each replaces *payload by its other form, whose bytes `buf` then holds. Nothing happens without `ops`
// or hooks, to an absent payload, or when the host leaves it as it is (then `buf` stays empty).
// Errors: the hook's own, out_of_memory; *payload is as it was.
duro_code duro__conceal(const duro_program_ops *ops, void *host, duro_str *payload, duro_buf *buf,
                        duro_error **err);
duro_code duro__reveal(const duro_program_ops *ops, void *host, duro_str *payload, duro_buf *buf,
                       duro_error **err);
// Of an error object `data` is the payload; code, message and the rest stay readable.
duro_code duro__conceal_error(const duro_program_ops *ops, void *host, duro_str *error,
                              duro_buf *buf, duro_error **err);
// What takes its place when the hook has failed: the error with a sentence as its data.
void duro__conceal_error_without_data(duro_str *error, duro_buf *buf);

#endif
