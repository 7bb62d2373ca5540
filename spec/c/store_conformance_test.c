// One suite for every store: the contracts of spec/conformance, each on a new store of each kind.
//
// A new store is a new line in `kinds`. A contract's test is named "<kind>: <contract>", so
// `store_conformance_test sqlite` runs one store and `store_conformance_test a_taken_id` one contract.
#include "../conformance/harness.h"

#include "../conformance/audits.h"
#include "../conformance/batches.h"
#include "../conformance/crowds.h"
#include "../conformance/histories.h"
#include "../conformance/leases.h"
#include "../conformance/lists.h"
#include "../conformance/queues.h"

static const store_kind kinds[] = {
    {"memory", &duro_store_memory, false},
    {"sqlite in a file", &duro_store_sqlite, true},
    {"sqlite in memory", &duro_store_sqlite, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct case_of {
  check__test test; // thetest that runs is found by the address of its name
  char name[160];
  const store_kind *kind;
  const contract *contract;
  struct case_of *next;
} case_of;

static case_of *cases;

static void run_case(void) {
  const case_of *c = cases;
  while (c->name != check__state.test_name) c = c->next;
  run_contract(c->kind, c->contract);
}

int main(int argc, char **argv) {
  for (size_t i = 0; i < KINDS; i++) {
    for (const contract *each = first_contract; each; each = each->next) {
      case_of *c = calloc(1, sizeof *c);
      snprintf(c->name, sizeof c->name, "%s: %s", kinds[i].name, each->name);
      c->test = (check__test){c->name, run_case, NULL};
      c->kind = &kinds[i];
      c->contract = each;
      c->next = cases;
      cases = c;
      check__add(&c->test);
    }
  }
  int failed = check__main(__FILE__, argc > 1 ? argv[1] : "");
  for (case_of *c = cases, *next; c; c = next) {
    next = c->next;
    free(c);
  }
  return failed;
}
