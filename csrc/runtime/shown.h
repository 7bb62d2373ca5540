// shown: a stored row as its reader sees it: whether at all, and with what is committed but not folded.
//
// A row's status, times of start and end, error and attributes are written with each change. Its
// `updated_at_ms` and `waiting_on` are brought up to date by folding; the owner knows them already for
// every instance that is in memory, and what is not in memory is folded. So a list beside a busy engine
// needs no fold, unless it filters or sorts by one of the two.
#ifndef DURO_RUNTIME_SHOWN_H
#define DURO_RUNTIME_SHOWN_H

#include "runtime/internal.h"

// The one place where access decides which rows a request may see: lists, pages, searches, trees and
// their counts all ask it (the host: duro_options.may_see). On the loop thread.
bool duro__row_visible(const duro_request *r, const duro_instance_row *row);
bool duro__id_visible(const duro_request *r, duro_str id);
// Rows may be hidden from this request: counts have to ask row by row.
bool duro__rows_hidden(const duro_request *r);

// What the owner knows of the row beyond the store; its slices live until the loop goes on.
void duro__row_overlay(duro_runtime *rt, duro_instance_row *row);
// Keeps what the turns of a batch that is durable now show. (batch.c)
void duro__shown_update(duro_runtime *rt, const duro__batch *b);
// The list is filtered or sorted by something that only folding brings up to date.
bool duro__needs_projection(const duro_list_query *q);

#endif
