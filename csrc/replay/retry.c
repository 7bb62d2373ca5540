// The arithmetic of retry.h, and the error that a program gets when the attempts are over.
//
// Nothing here may depend on anything but its arguments. The delay itself is recorded in history, so
// its formula may change; which errors are retried is decided once, live, and recorded too.
#include "replay/retry.h"

#include "base/json.h"
#include "replay/internal.h"

// --- The policy ---

static duro__backoff read_backoff(duro_str policy) {
  duro_str text = duro_json_member(policy, "backoff");
  if (duro_str_equal(text, DURO_STR("\"linear\""))) return DURO__LINEAR;
  if (duro_str_equal(text, DURO_STR("\"fixed\""))) return DURO__FIXED;
  return DURO__EXPONENTIAL;
}

void duro__retry_read(duro_str options, duro__retry *out) {
  *out = (duro__retry){.max_attempts = 1, .initial_ms = 100, .max_ms = 30000, .multiplier = 2};
  duro_str policy = options.n ? duro_json_member(options, "retry") : DURO_NONE;
  if (!policy.n || policy.p[0] != '{') return;
  out->max_attempts = duro_json_member_int(policy, "max_attempts", 3);
  out->backoff = read_backoff(policy);
  out->initial_ms = duro_json_member_int(policy, "initial_ms", out->initial_ms);
  out->max_ms = duro_json_member_int(policy, "max_ms", out->max_ms);
  out->multiplier = duro_json_member_double(policy, "multiplier", out->multiplier);
  out->jitter = duro_json_member_bool(policy, "jitter", false);
  out->non_retryable = duro_json_member(policy, "non_retryable");
}

// base to the power of n, but not beyond `most`.
static double power(double base, int64_t n, double most) {
  double result = 1;
  for (; n > 0; n /= 2) {
    if (n % 2) result *= base;
    base *= base;
    if (result > most) return most;
    if (base > most) base = most; // so that no infinity meets a zero
  }
  return result;
}

int64_t duro__retry_delay_ms(const duro__retry *r, int64_t attempt, duro_str seed) {
  if (r->initial_ms <= 0 || r->max_ms <= 0) return 0;
  double initial = (double)r->initial_ms, most = (double)r->max_ms, delay = initial;
  if (r->backoff == DURO__LINEAR) delay = initial * (double)attempt;
  if (r->backoff == DURO__EXPONENTIAL) delay = initial * power(r->multiplier, attempt - 1, most);
  if (!(delay < most)) delay = most;
  if (delay < 0) delay = 0;
  if (r->jitter) { // anywhere in its upper half: spread out, but still a wait
    duro_prng g;
    duro_prng_seed(&g, seed);
    delay *= 0.5 + 0.5 * duro_prng_unit(&g);
  }
  return delay >= most ? r->max_ms : (int64_t)delay;
}

static bool is_listed(duro_str list, duro_str code, duro_arena *arena) {
  duro_json_reader r;
  duro_json_open(&r, list);
  if (!list.n || duro_json_next(&r) != DURO_JSON_BEGIN_ARRAY) return false;
  for (;;) {
    duro_json_type type = duro_json_next(&r);
    if (type == DURO_JSON_END_ARRAY || type == DURO_JSON_ERROR || type == DURO_JSON_END)
      return false;
    if (type == DURO_JSON_STRING && duro_str_equal(duro_json_text(&r, arena), code)) return true;
  }
}

bool duro__retry_allowed(const duro__retry *r, int64_t attempt, duro_str error) {
  if (attempt >= r->max_attempts) return false;
  if (!error.n) return true;
  if (!duro_json_member_bool(error, "retryable", true)) return false;
  if (!r->non_retryable.n) return true;
  duro_arena arena = {0};
  duro_str code = duro_json_member_text(error, "code", &arena);
  bool listed = is_listed(r->non_retryable, code.p ? code : DURO_STR("failed"), &arena);
  duro_arena_free(&arena);
  return !listed;
}

// --- The error ---

// The members of the error object but for those that are ours to say. True when it has a code.
static bool copy_members(duro_buf *b, duro_str error) {
  duro_json_reader r;
  bool has_code = false;
  duro_json_open(&r, error);
  if (duro_json_next(&r) != DURO_JSON_BEGIN_OBJECT) return false;
  while (duro_json_next(&r) == DURO_JSON_KEY) {
    duro_str key = r.text, value;
    if (!duro_json_skip(&r, &value)) break;
    if (duro_str_equal(key, DURO_STR("name")) || duro_str_equal(key, DURO_STR("attempts")))
      continue;
    has_code |= duro_str_equal(key, DURO_STR("code"));
    duro_buf_add_char(b, '"');
    duro_buf_add_str(b, key);
    duro_buf_add_lit(b, "\":");
    duro_buf_add_str(b, value);
    duro_buf_add_char(b, ',');
  }
  return has_code;
}

void duro__failure_write(duro_buf *b, duro_str error, duro_str name, int64_t attempts) {
  duro_buf_add_char(b, '{');
  if (error.n && error.p[0] == '{') {
    if (!copy_members(b, error)) duro_buf_add_lit(b, "\"code\":\"failed\",");
  } else if (error.n && error.p[0] == '"') {
    duro_buf_add_lit(b, "\"code\":\"failed\",\"message\":");
    duro_buf_add_str(b, error);
    duro_buf_add_char(b, ',');
  } else {
    duro_buf_add_lit(b, "\"code\":\"failed\",\"message\":\"the activity failed\",");
  }
  duro_buf_add_lit(b, "\"name\":");
  duro_json_add_string(b, name);
  duro_buf_add_lit(b, ",\"attempts\":");
  duro_buf_add_int(b, attempts);
  duro_buf_add_char(b, '}');
}
