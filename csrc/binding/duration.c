// duration: seconds and texts such as "1h30m" as milliseconds, for ctx:sleep and its like.
// lua/duro/options.lua reads the durations of options by the same rules.
#include "binding/host.h"

#define MAX_DURATION_MS (100.0 * 365 * 86400000) // a longer wait is a mistake in the unit
#define MAX_TIME_MS     253402300799999.0        // the year 9999

static const struct {
  const char *name;
  double ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

static double unit_ms(const char *p, size_t n) {
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strlen(units[i].name) == n && memcmp(units[i].name, p, n) == 0) return units[i].ms;
  }
  return 0;
}

// A sum of numbers with units; negative when it is none.
static double read_text(const char *p, const char *end) {
  double total = 0;
  if (p == end) return -1;
  while (p < end) {
    double number = 0, place = 1;
    const char *digits = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) number = number * 10 + (*p - '0');
    if (p == digits) return -1;
    if (p < end && *p == '.') {
      for (p++; p < end && *p >= '0' && *p <= '9'; p++) {
        place *= 10;
        number = number * 10 + (*p - '0');
      }
    }
    const char *unit = p;
    while (p < end && *p >= 'a' && *p <= 'z') p++;
    double ms = unit_ms(unit, (size_t)(p - unit));
    if (ms == 0) return -1;
    total += number / place * ms;
  }
  return total;
}

const char *duro__duration_read(lua_State *L, int index, int64_t *ms) {
  double value;
  if (lua_type(L, index) == LUA_TNUMBER) {
    value = lua_tonumber(L, index) * 1000;
    if (!(value >= 0)) return "a duration must not be negative";
  } else if (lua_type(L, index) == LUA_TSTRING) {
    size_t n;
    const char *text = lua_tolstring(L, index, &n);
    value = read_text(text, text + n);
    if (!(value >= 0)) return "this is no duration (write seconds, or such as \"1h30m\")";
  } else {
    return "a duration must be a number of seconds, or a text such as \"1h30m\"";
  }
  if (value > MAX_DURATION_MS) return "a duration must not be longer than 100 years";
  *ms = (int64_t)(value + 0.5);
  return NULL;
}

const char *duro__time_read(lua_State *L, int index, int64_t *ms) {
  if (lua_type(L, index) != LUA_TNUMBER) return "a time must be a number of epoch seconds";
  double value = lua_tonumber(L, index) * 1000;
  if (!(value >= 0 && value <= MAX_TIME_MS)) return "this is no time in epoch seconds";
  *ms = (int64_t)(value + 0.5);
  return NULL;
}

int duro__duration_refuse(lua_State *L, duro__host *h, int index, const char *what,
                          const char *problem) {
  int type = lua_type(L, index);
  if (type != LUA_TNUMBER && type != LUA_TSTRING) {
    return duro__host_blame(L, h, "ctx:%s: %s, got %s", what, problem, luaL_typename(L, index));
  }
  const char *value = lua_tostring(L, index); // a number becomes its text, which nobody needs again
  duro__error_push_text(L, h, "invalid_argument", "ctx:%s: %s, got '%.100s'", what, problem, value);
  return lua_error(L);
}
