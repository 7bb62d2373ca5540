// The two hooks of conceal.h, and the one place where a payload stands inside of another text.
#include "replay/conceal.h"

#include "base/json.h"

typedef duro_code hook(void *host, duro_str payload, duro_buf *out, duro_error **err);

static duro_code exchange(hook *ask, void *host, duro_str *payload, duro_buf *buf,
                          duro_error **err) {
  if (!ask || !payload->n) return DURO_OK;
  duro_buf_clear(buf);
  duro_code code = ask(host, *payload, buf, err);
  if (!code && buf->oom) code = duro_fail_oom(err);
  if (!code && buf->n) *payload = duro_buf_str(buf);
  return code;
}

duro_code duro__conceal(const duro_program_ops *ops, void *host, duro_str *payload, duro_buf *buf,
                        duro_error **err) {
  return ops ? exchange(ops->conceal, host, payload, buf, err) : DURO_OK;
}

duro_code duro__reveal(const duro_program_ops *ops, void *host, duro_str *payload, duro_buf *buf,
                       duro_error **err) {
  return ops ? exchange(ops->reveal, host, payload, buf, err) : DURO_OK;
}

static void replace(duro_str *error, duro_str data, duro_str by, duro_buf *buf) {
  size_t before = (size_t)(data.p - error->p), after = before + data.n;
  duro_buf_clear(buf);
  duro_buf_add(buf, error->p, before);
  duro_buf_add_str(buf, by);
  duro_buf_add(buf, error->p + after, error->n - after);
}

duro_code duro__conceal_error(const duro_program_ops *ops, void *host, duro_str *error,
                              duro_buf *buf, duro_error **err) {
  if (!ops || !ops->conceal) return DURO_OK;
  duro_str data = duro_json_member(*error, "data"), stored = data;
  duro_buf form = {0};
  duro_code code = exchange(ops->conceal, host, &stored, &form, err);
  if (!code && form.n) {
    replace(error, data, stored, buf);
    if (buf->oom)
      code = duro_fail_oom(err);
    else
      *error = duro_buf_str(buf);
  }
  duro_buf_free(&form);
  return code;
}

void duro__conceal_error_without_data(duro_str *error, duro_buf *buf) {
  duro_str data = duro_json_member(*error, "data");
  if (data.p)
    replace(error, data, DURO_STR("\"left out: it could not be put into its stored form\""), buf);
  *error = buf->oom ? DURO_STR("{\"code\":\"out_of_memory\",\"message\":\"memory is out\"}")
           : data.p ? duro_buf_str(buf)
                    : *error;
}
