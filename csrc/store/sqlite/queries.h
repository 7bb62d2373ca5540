// The names of queries.sql as an enum, so that a statement is found by an index and not by text.
//
// To add a query: write it in queries.sql and add its name here. READS is prepared on every
// connection, WRITES on the writing one only; a FRAGMENT is text that other statements are made of.
#ifndef DURO_STORE_SQLITE_QUERIES_H
#define DURO_STORE_SQLITE_QUERIES_H

// X(name, kind)
#define DURO__SQLITE_QUERIES(X)                                                                    \
  X(begin_write, WRITES)                                                                           \
  X(begin_read, READS)                                                                             \
  X(commit_transaction, READS)                                                                     \
  X(rollback_transaction, READS)                                                                   \
  X(read_data_version, WRITES)                                                                     \
  X(read_marks, READS)                                                                             \
  X(read_chain, WRITES)                                                                            \
  X(read_unsettled_counts, WRITES)                                                                 \
  X(settle_marks, WRITES)                                                                          \
  X(read_lease, READS)                                                                             \
  X(take_lease, WRITES)                                                                            \
  X(renew_lease, WRITES)                                                                           \
  X(release_lease, WRITES)                                                                         \
  X(instance_columns, FRAGMENT)                                                                    \
  X(brief_columns, FRAGMENT)                                                                       \
  X(insert_instance, WRITES)                                                                       \
  X(read_instance_by_id, READS)                                                                    \
  X(read_instance_by_key, READS)                                                                   \
  X(read_instance_index_texts, WRITES)                                                             \
  X(read_listed_to, READS)                                                                         \
  X(insert_listed, WRITES)                                                                         \
  X(insert_new_listed, WRITES)                                                                     \
  X(insert_ended_listed, WRITES)                                                                   \
  X(delete_listed, WRITES)                                                                         \
  X(read_projection, WRITES)                                                                       \
  X(delete_instance, WRITES)                                                                       \
  X(set_begin, FRAGMENT)                                                                           \
  X(set_listed_begin, FRAGMENT)                                                                    \
  X(set_listed_status, FRAGMENT)                                                                   \
  X(set_end, FRAGMENT)                                                                             \
  X(set_updated, FRAGMENT)                                                                         \
  X(set_status, FRAGMENT)                                                                          \
  X(set_execution, FRAGMENT)                                                                       \
  X(set_custom_status, FRAGMENT)                                                                   \
  X(set_attributes, FRAGMENT)                                                                      \
  X(set_wake, FRAGMENT)                                                                            \
  X(set_wake_seq, FRAGMENT)                                                                        \
  X(set_waiting_on, FRAGMENT)                                                                      \
  X(set_counts, FRAGMENT)                                                                          \
  X(insert_wait, WRITES)                                                                           \
  X(delete_wait, WRITES)                                                                           \
  X(insert_attribute, WRITES)                                                                      \
  X(delete_attribute, WRITES)                                                                      \
  X(read_due, READS)                                                                               \
  X(read_next_wake, READS)                                                                         \
  X(insert_turn, WRITES)                                                                           \
  X(read_folded_seq, WRITES)                                                                       \
  X(read_turns_to_fold, WRITES)                                                                    \
  X(insert_history, WRITES)                                                                        \
  X(update_fold_marks, WRITES)                                                                     \
  X(read_turn_from, WRITES)                                                                        \
  X(delete_turns_before, WRITES)                                                                   \
  X(update_trimmed, WRITES)                                                                        \
  X(read_history, READS)                                                                           \
  X(read_tail, READS)                                                                              \
  X(sum_history, WRITES)                                                                           \
  X(sum_execution_history, WRITES)                                                                 \
  X(delete_history, WRITES)                                                                        \
  X(delete_execution_history, WRITES)                                                              \
  X(insert_execution, WRITES)                                                                      \
  X(read_executions, READS)                                                                        \
  X(has_execution, READS)                                                                          \
  X(read_current_execution, READS)                                                                 \
  X(delete_execution, WRITES)                                                                      \
  X(delete_executions, WRITES)                                                                     \
  X(read_changes, READS)                                                                           \
  X(read_oldest_seq, READS)                                                                        \
  X(insert_message, WRITES)                                                                        \
  X(delete_message, WRITES)                                                                        \
  X(delete_messages, WRITES)                                                                       \
  X(read_messages, READS)                                                                          \
  X(job_columns, FRAGMENT)                                                                         \
  X(insert_job, WRITES)                                                                            \
  X(delete_job, WRITES)                                                                            \
  X(delete_jobs, WRITES)                                                                           \
  X(claimable, FRAGMENT)                                                                           \
  X(find_claimable, READS)                                                                         \
  X(claim_jobs, WRITES)                                                                            \
  X(renew_job, WRITES)                                                                             \
  X(read_job, READS)                                                                               \
  X(read_jobs_of_instance, READS)                                                                  \
  X(read_all_queues, READS)                                                                        \
  X(read_queue_state, READS)                                                                       \
  X(delete_held_job, WRITES)                                                                       \
  X(read_post_marks, WRITES)                                                                       \
  X(update_post_marks, WRITES)                                                                     \
  X(insert_request, WRITES)                                                                        \
  X(read_requests, READS)                                                                          \
  X(read_request, READS)                                                                           \
  X(answer_request, WRITES)                                                                        \
  X(delete_request, WRITES)                                                                        \
  X(forget_request, WRITES)                                                                        \
  X(delete_old_answers, WRITES)                                                                    \
  X(add_to_counter, WRITES)                                                                        \
  X(add_to_rollup, WRITES)                                                                         \
  X(delete_old_rollups, WRITES)                                                                    \
  X(read_counters, READS)                                                                          \
  X(sum_rollups, READS)                                                                            \
  X(read_rollups, READS)                                                                           \
  X(insert_audit, WRITES)                                                                          \
  X(delete_audit, WRITES)                                                                          \
  X(read_audit, READS)                                                                             \
  X(read_stats, READS)                                                                             \
  X(read_meta, READS)                                                                              \
  X(write_meta, WRITES)                                                                            \
  X(read_unlisted, READS)                                                                          \
  X(from_key, FRAGMENT)                                                                            \
  X(from_id, FRAGMENT)                                                                             \
  X(only_status, FRAGMENT)                                                                         \
  X(from_status, FRAGMENT)                                                                         \
  X(only_name, FRAGMENT)                                                                           \
  X(from_name, FRAGMENT)                                                                           \
  X(only_updated, FRAGMENT)                                                                        \
  X(from_updated, FRAGMENT)                                                                        \
  X(only_completed, FRAGMENT)                                                                      \
  X(from_completed, FRAGMENT)                                                                      \
  X(only_parent, FRAGMENT)                                                                         \
  X(from_parent, FRAGMENT)                                                                         \
  X(from_ids, FRAGMENT)                                                                            \
  X(only_attribute, FRAGMENT)                                                                      \
  X(only_wait, FRAGMENT)                                                                           \
  X(from_attribute, FRAGMENT)                                                                      \
  X(from_wait, FRAGMENT)                                                                           \
  X(where_created_after, FRAGMENT)                                                                 \
  X(where_created_before, FRAGMENT)                                                                \
  X(where_version, FRAGMENT)                                                                       \
  X(where_root, FRAGMENT)                                                                          \
  X(where_child, FRAGMENT)                                                                         \
  X(where_unfinished, FRAGMENT)                                                                    \
  X(where_error_contains, FRAGMENT)                                                                \
  X(where_attribute, FRAGMENT)                                                                     \
  X(where_wait, FRAGMENT)

typedef enum duro__sqlite_query {
#define X(name, kind) Q_##name,
  DURO__SQLITE_QUERIES(X)
#undef X
      Q_COUNT
} duro__sqlite_query;

#endif
