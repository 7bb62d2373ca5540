// The mailbox: events by name in the order they came, and the waits for them.
//
// A box is made for a name when the first event or wait needs it and goes with the last. Invariants: it
// holds events or waits, never both, because they meet at once; its events ascend by id, also when one
// is given back. A wait keeps the event it got until the code has looked at it or the wait goes; then
// the event goes to the next wait of that name, or back to its place, which is before all that nobody
// has held. Many boxes are found through a map, few by walking.
#include "replay/internal.h"

#include <stdlib.h>

#define WALK_AT_MOST 8

// --- Boxes ---

static duro__box *find_in(const duro__box_list *list, duro_str name) {
  duro__box *box = list->first;
  while (box && !duro_str_equal(box->name, name)) box = box->next;
  return box;
}

static duro__box *find(const duro__exec *x, duro_str name) {
  const duro__mailbox *m = &x->mailbox;
  if (m->by_name.capacity) return duro_map_get(&m->by_name, name);
  duro__box *box = find_in(&m->holding, name);
  return box ? box : find_in(&m->waiting, name);
}

static void link_box(duro__box_list *list, duro__box *box) {
  box->prev = list->last;
  box->next = NULL;
  *(list->last ? &list->last->next : &list->first) = box;
  list->last = box;
  list->count++;
}

static void unlink_box(duro__box_list *list, duro__box *box) {
  *(box->prev ? &box->prev->next : &list->first) = box->next;
  *(box->next ? &box->next->prev : &list->last) = box->prev;
  list->count--;
}

static bool put_into_map(duro__mailbox *m, const duro__box_list *list) {
  for (duro__box *box = list->first; box; box = box->next) {
    if (!duro_map_put(&m->by_name, box->name, box)) return false;
  }
  return true;
}

// A map that could not be filled whole goes again: then all are found by walking, as before.
static bool index_box(duro__mailbox *m, duro__box *box) {
  if (m->by_name.capacity) return duro_map_put(&m->by_name, box->name, box);
  if (m->holding.count + m->waiting.count < WALK_AT_MOST) return true;
  if (put_into_map(m, &m->holding) && put_into_map(m, &m->waiting) &&
      duro_map_put(&m->by_name, box->name, box)) {
    return true;
  }
  duro_map_free(&m->by_name);
  return false;
}

// A box for a name that has none, in `list`. NULL when memory is out.
static duro__box *new_box(duro__exec *x, duro__box_list *list, duro_str name) {
  duro__box *box = malloc(sizeof *box + name.n + 1);
  if (!box) return NULL;
  *box = (duro__box){.name = {box->text, name.n}};
  if (name.n) memcpy(box->text, name.p, name.n);
  box->text[name.n] = 0;
  if (!index_box(&x->mailbox, box)) {
    free(box);
    return NULL;
  }
  link_box(list, box);
  return box;
}

static void drop_box(duro__exec *x, duro__box_list *list, duro__box *box) {
  unlink_box(list, box);
  if (x->mailbox.by_name.capacity) {
    duro_map_remove(&x->mailbox.by_name, box->name);
    if (!x->mailbox.by_name.count) duro_map_free(&x->mailbox.by_name);
  }
  free(box);
}

// --- The events of a box ---

static void insert_mail_after(duro__box *box, duro__mail *place, duro__mail *mail) {
  mail->box = box;
  mail->prev = place;
  mail->next = place ? place->next : box->first_mail;
  *(place ? &place->next : &box->first_mail) = mail;
  *(mail->next ? &mail->next->prev : &box->last_mail) = mail;
}

// Events are given back in the order of their waits as a rule: the last place is a good first guess.
static void give_back(duro__box *box, duro__mail *mail) {
  duro__mail *at = box->hint ? box->hint : box->first_mail;
  while (at && at->event_id > mail->event_id) at = at->prev;
  while (at && at->next && at->next->event_id < mail->event_id) at = at->next;
  insert_mail_after(box, at, mail);
  box->hint = mail;
}

static duro__mail *take_first_mail(duro__box *box) {
  duro__mail *mail = box->first_mail;
  box->first_mail = mail->next;
  *(mail->next ? &mail->next->prev : &box->last_mail) = NULL;
  if (box->hint == mail) box->hint = mail->next;
  mail->prev = mail->next = NULL;
  mail->box = NULL;
  return mail;
}

static duro__mail *new_mail(duro__exec *x, int64_t event_id, duro_str data) {
  duro__mail *mail = malloc(sizeof *mail + data.n + 1);
  if (!mail) return NULL;
  *mail = (duro__mail){.event_id = event_id};
  if (data.p) mail->data = (duro_str){mail->text, data.n};
  if (data.n) memcpy(mail->text, data.p, data.n);
  mail->text[data.n] = 0;
  x->mailbox.mail_bytes += data.n;
  x->mailbox.mail_count++;
  return mail;
}

static void free_mail(duro__exec *x, duro__mail *mail) {
  x->mailbox.mail_bytes -= mail->data.n;
  x->mailbox.mail_count--;
  free(mail);
}

// --- The waits of a box ---

static void add_waiter(duro__box *box, duro__entry *wait) {
  wait->box = box;
  wait->prev_waiter = box->last_waiter;
  wait->next_waiter = NULL;
  *(box->last_waiter ? &box->last_waiter->next_waiter : &box->first_waiter) = wait;
  box->last_waiter = wait;
}

static void remove_waiter(duro__exec *x, duro__entry *wait) {
  duro__box *box = wait->box;
  *(wait->prev_waiter ? &wait->prev_waiter->next_waiter : &box->first_waiter) = wait->next_waiter;
  *(wait->next_waiter ? &wait->next_waiter->prev_waiter : &box->last_waiter) = wait->prev_waiter;
  wait->box = NULL;
  wait->prev_waiter = wait->next_waiter = NULL;
  if (!box->first_waiter) drop_box(x, &x->mailbox.waiting, box);
}

static void bind(duro__exec *x, duro__entry *wait, duro__mail *mail) {
  wait->mail = mail;
  wait->open.bound_event = mail->event_id;
  duro__open_set_state(x, wait, DURO__STATE_BOUND);
}

// --- What the fold asks ---

duro__entry *duro__mail_first_waiter(const duro__exec *x, duro_str name) {
  duro__box *box = find(x, name);
  return box ? box->first_waiter : NULL;
}

bool duro__mail_receive(duro__exec *x, int64_t event_id, duro_str name, duro_str data,
                        duro__entry **waiter) {
  *waiter = NULL;
  duro__mail *mail = new_mail(x, event_id, data);
  if (!mail) return false;
  duro__box *box = find(x, name);
  if (box && box->first_waiter) {
    *waiter = box->first_waiter;
    remove_waiter(x, *waiter);
    bind(x, *waiter, mail);
    return true;
  }
  if (!box) box = new_box(x, &x->mailbox.holding, name);
  if (!box) {
    free_mail(x, mail);
    return false;
  }
  insert_mail_after(box, box->last_mail, mail);
  return true;
}

bool duro__mail_subscribe(duro__exec *x, duro__entry *wait) {
  duro__box *box = find(x, wait->open.name);
  if (box && box->first_mail) {
    bind(x, wait, take_first_mail(box));
    if (!box->first_mail) drop_box(x, &x->mailbox.holding, box);
    return true;
  }
  if (!box) box = new_box(x, &x->mailbox.waiting, wait->open.name);
  if (!box) return false;
  add_waiter(box, wait);
  return true;
}

bool duro__mail_unsubscribe(duro__exec *x, duro__entry *wait, duro__entry **waiter) {
  *waiter = NULL;
  if (wait->box) remove_waiter(x, wait);
  if (!wait->mail) return true;
  duro__mail *mail = wait->mail;
  duro__box *box = find(x, wait->open.name);
  if (box && box->first_waiter) {
    *waiter = box->first_waiter;
    remove_waiter(x, *waiter);
    bind(x, *waiter, mail);
  } else {
    if (!box) box = new_box(x, &x->mailbox.holding, wait->open.name);
    if (!box) return false;
    give_back(box, mail);
  }
  wait->mail = NULL;
  return true;
}

void duro__mail_taken(duro__exec *x, duro__entry *wait) {
  wait->mail->next = x->mailbox.seen;
  x->mailbox.seen = wait->mail;
  wait->mail = NULL;
}

void duro__mail_free_seen(duro__exec *x) {
  for (duro__mail *mail = x->mailbox.seen, *next; mail; mail = next) {
    next = mail->next;
    free_mail(x, mail);
  }
  x->mailbox.seen = NULL;
}

// *at is the address of the event given last: a number to the caller, who changes nothing meanwhile.
duro__mail *duro__mail_next(const duro__exec *x, size_t *at, duro_str *name) {
  duro__mail *mail = (duro__mail *)(uintptr_t)*at; // NOLINT
  duro__box *box = NULL;
  if (!mail) {
    box = x->mailbox.holding.first;
    mail = box ? box->first_mail : NULL;
  } else if (mail->next) {
    mail = mail->next;
  } else {
    box = mail->box->next;
    mail = box ? box->first_mail : NULL;
  }
  *at = (size_t)(uintptr_t)mail;
  if (mail) *name = mail->box->name;
  return mail;
}

static void free_boxes(duro__exec *x, duro__box_list *list) {
  for (duro__box *box = list->first, *next; box; box = next) {
    next = box->next;
    while (box->first_mail) free_mail(x, take_first_mail(box));
    free(box);
  }
  *list = (duro__box_list){0};
}

void duro__mail_forget_waits(duro__exec *x) {
  while (x->mailbox.waiting.first) drop_box(x, &x->mailbox.waiting, x->mailbox.waiting.first);
}

void duro__mail_clear(duro__exec *x) {
  duro__mail_free_seen(x);
  free_boxes(x, &x->mailbox.holding);
  free_boxes(x, &x->mailbox.waiting);
  duro_map_free(&x->mailbox.by_name);
}
