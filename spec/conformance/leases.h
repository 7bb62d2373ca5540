// Contracts of the lease: one owner at a time, and whoever lost it can change nothing.
#include "harness.h"

static duro_lease other_owner(const fixture *f) {
  return (duro_lease){.owner = DURO_STR("2@elsewhere:b"),
                      .host = DURO_STR("elsewhere"),
                      .pid = 2,
                      .acquired_at_ms = f->now,
                      .expires_at_ms = f->now + MINUTE};
}

CONTRACT(a_lease_says_who_holds_it) {
  duro_lease lease;
  OK(f, duro__store_lease(f->s, &f->arena, &lease, &f->err));
  CHECK_INT(lease.epoch, f->epoch);
  CHECK_INT(lease.epoch, 1);
  CHECK_TEXT(f, lease.owner, DURO_STR("1@test:a"));
  CHECK_TEXT(f, lease.host, DURO_STR("test"));
  CHECK_INT(lease.pid, 1);
  CHECK_INT(lease.acquired_at_ms, NOW);
  CHECK_INT(lease.expires_at_ms, NOW + MINUTE);
}

CONTRACT(a_held_lease_is_busy) {
  duro_lease held, wanted = other_owner(f);
  CODE(f, duro__store_acquire(f->s, &wanted, false, f->now, &f->arena, &held, &f->err), DURO_BUSY);
  CHECK_TEXT(f, held.owner, DURO_STR("1@test:a"));
  CHECK_INT(held.epoch, f->epoch);
  CHECK_INT(held.expires_at_ms, NOW + MINUTE);
  insert_one(f, "a"); // the owner goes on
  CHECK(exists(f, "a"));
}

CONTRACT(an_expired_lease_is_free_and_its_owner_is_fenced_once_it_is_taken) {
  duro_lease held, wanted = other_owner(f);
  size_t folded;
  f->now += MINUTE - 1;
  CODE(f, duro__store_acquire(f->s, &wanted, false, f->now, &f->arena, &held, &f->err), DURO_BUSY);
  f->now += 2;
  insert_one(f, "a"); // nobody has taken it: still its owner's
  wanted = other_owner(f);
  OK(f, duro__store_acquire(f->s, &wanted, false, f->now, &f->arena, &held, &f->err));
  CHECK_INT(held.epoch, f->epoch + 1);
  CHECK_TEXT(f, held.owner, wanted.owner);
  draft *d = draft_new(f);
  draft_insert(d, "late");
  CODE(f, draft_send(d), DURO_LOCKED);
  CODE(f, duro__store_renew(f->s, f->epoch, f->now, f->now + MINUTE, &f->err), DURO_LOCKED);
  CODE(f, duro__store_release(f->s, f->epoch, &f->err), DURO_LOCKED);
  CODE(f, duro__store_fold(f->s, f->epoch, f->now, 10, &folded, &f->err), DURO_LOCKED);
  CHECK(!exists(f, "late"));
  OK(f, duro__store_lease(f->s, &f->arena, &held, &f->err));
  CHECK_INT(held.epoch, f->epoch + 1);
  CHECK_INT(held.expires_at_ms, f->now + MINUTE);
  f->epoch++; // the new owner goes on in the chain
  insert_one(f, "b");
  CHECK(exists(f, "b"));
}

CONTRACT(a_lease_can_be_stolen_by_who_holds_the_kernels_lock) {
  duro_lease held, wanted = other_owner(f);
  OK(f, duro__store_acquire(f->s, &wanted, true, f->now, &f->arena, &held, &f->err));
  CHECK_INT(held.epoch, f->epoch + 1);
  draft *d = draft_new(f);
  draft_insert(d, "late");
  CODE(f, draft_send(d), DURO_LOCKED);
}

CONTRACT(a_renewed_lease_is_held_longer) {
  duro_lease held, wanted = other_owner(f);
  OK(f, duro__store_renew(f->s, f->epoch, f->now, f->now + 10 * MINUTE, &f->err));
  f->now += 5 * MINUTE;
  CODE(f, duro__store_acquire(f->s, &wanted, false, f->now, &f->arena, &held, &f->err), DURO_BUSY);
  CHECK_INT(held.expires_at_ms, NOW + 10 * MINUTE);
  f->now += 6 * MINUTE; // expired, but nobody took it
  OK(f, duro__store_renew(f->s, f->epoch, f->now, f->now + MINUTE, &f->err));
  CODE(f, duro__store_acquire(f->s, &wanted, false, f->now, &f->arena, &held, &f->err), DURO_BUSY);
  CODE(f, duro__store_renew(f->s, f->epoch + 1, f->now, f->now, &f->err), DURO_LOCKED);
}

CONTRACT(a_released_lease_is_free_at_once_and_its_epoch_is_not_used_again) {
  duro_lease held, wanted = other_owner(f);
  OK(f, duro__store_release(f->s, f->epoch, &f->err));
  CODE(f, duro__store_renew(f->s, f->epoch, f->now, f->now + MINUTE, &f->err), DURO_LOCKED);
  OK(f, duro__store_acquire(f->s, &wanted, false, f->now, &f->arena, &held, &f->err));
  CHECK_INT(held.epoch, f->epoch + 1);
  duro_store_marks marks;
  OK(f, duro__store_marks(f->s, &f->arena, &marks, &f->err));
  CHECK_INT(marks.epoch, f->epoch + 1);
}

CONTRACT(the_epoch_outlives_a_new_start) {
  int64_t before = f->epoch;
  OK(f, duro__store_release(f->s, f->epoch, &f->err));
  f->epoch = 0;
  if (!f->kind->in_file || !reopen(f)) return;
  CHECK_INT(f->epoch, before + 1);
}

// Two handles on one file, as two processes have them.
CONTRACT(an_owner_that_lost_its_lease_to_another_handle_is_locked) {
  if (!f->kind->in_file) return;
  duro__store *other;
  duro_store_options options = options_of(f);
  duro_lease held, wanted = other_owner(f);
  size_t folded;
  if (!OK(f, duro__store_open(f->kind->ops, &options, &other, &f->err))) return;
  CODE(f, duro__store_acquire(other, &wanted, false, f->now, &f->arena, &held, &f->err), DURO_BUSY);
  OK(f, duro__store_acquire(other, &wanted, true, f->now, &f->arena, &held, &f->err));
  draft *d = draft_new(f);
  draft_insert(d, "late");
  CODE(f, draft_send(d), DURO_LOCKED);
  CODE(f, duro__store_fold(f->s, f->epoch, f->now, 10, &folded, &f->err), DURO_LOCKED);
  duro__store_close(other);
}

CONTRACT(a_handle_that_lost_its_lease_still_reads_what_is_committed) {
  if (!f->kind->in_file) return;
  duro__store *first = f->s;
  duro_store_options options = options_of(f);
  duro_loaded loaded;
  size_t folded;
  int64_t key = insert_one(f, "a");
  add_turn(f, key, 1, 1, 1);
  fold_all(f);
  CHECK_STR(history_ids(f, key, 0), "1");
  if (!OK(f, duro__store_open(f->kind->ops, &options, &f->s, &f->err))) return;
  acquire_lease(f, true);
  for (int64_t i = 2; i <= 6; i++) {
    add_turn(f, key, 1, i, 1);
    duro__store *second = f->s;
    f->s = first;
    OK(f, duro__store_load(f->s, key, &f->arena, &loaded, &f->err));
    CHECK_INT(strlen(event_ids(f, &loaded.history)), 2 * i - 1);
    CHECK_INT(strlen(history_ids(f, key, 0)), 2 * i - 1);
    f->s = second;
    if (i == 4) OK(f, duro__store_fold(f->s, f->epoch, f->now, 2, &folded, &f->err));
  }
  duro__store_close(first);
}

CONTRACT(a_lease_that_comes_back_knows_what_was_written_meanwhile) {
  if (!f->kind->in_file) return;
  duro__store *first = f->s, *second;
  duro_store_options options = options_of(f);
  int64_t key = insert_one(f, "a");
  add_turn(f, key, 1, 1, 1);
  fold_all(f);
  if (!OK(f, duro__store_open(f->kind->ops, &options, &second, &f->err))) return;
  f->s = second;
  if (acquire_lease(f, true)) add_turn(f, key, 1, 2, 2);
  f->s = first;
  if (acquire_lease(f, true)) add_turn(f, key, 1, 4, 1);
  CHECK_STR(history_ids(f, key, 0), "1,2,3,4");
  fold_all(f);
  CHECK_STR(history_ids(f, key, 0), "1,2,3,4");
  CHECK_INT(get_by_key(f, key).event_count, 4);
  duro__store_close(second);
}
