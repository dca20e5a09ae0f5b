// Sends readings of power meters that differ enough from the last one that was sent.
//
// Meters publish 8 bytes: the energy in Wh as an unsigned and the power in W as a signed number of 32 bits, little-endian.
// The module sends {"topic":"meters/k7/power","watts":1250,"wh":48231,"at":1790000001000} to a URL if the power differs by
// at least `band` W from the last one that was sent for the topic, or if that was sent `repeat_after` seconds ago.
// The host stores the last reading, so it survives a restart and a new version of the module.
#include "hookhost.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READING = 8, ENERGY = 0, POWER = 4 };

/// `[config]` of `dead-band.toml`.
static char *url, *topic;
static int64_t band, repeat_after;

bool exports_hookhost_hook_handler_configure(exports_hookhost_hook_handler_host_info_t *host, hook_string_t *config,
                                             interests *wanted, problems *wrong) {
  const setting settings[] = {
      {.key = "url", .string = &url},
      {.key = "topic", .string = &topic},
      {.key = "band", .whole = &band, .least = 1},
      {.key = "repeat_after", .whole = &repeat_after, .least = 1},
  };
  *wanted = (interests){0};
  *wrong = (problems){0};
  bool right = read_settings(*config, settings, sizeof settings / sizeof *settings, wrong);
  if (right) add_interest(wanted, HOOKHOST_HOOK_TYPES_HOOK_MESSAGE_PUBLISH, topic);
  exports_hookhost_hook_handler_host_info_free(host);
  hook_string_free(config);
  return right;
}

static uint32_t number(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/// Returns whether a power is inside the band around the last one that was sent for the topic.
static bool is_close(hook_string_t *name, int32_t watts) {
  hook_list_u8_t sent;
  if (!hookhost_hook_kv_get(name, &sent)) return false;
  // Another version of this module may have stored another form.
  bool close = sent.len == 4 && llabs((int64_t)watts - (int32_t)number(sent.ptr)) < band;
  hook_list_u8_free(&sent);
  return close;
}

static outcome on_message_publish(message *m) {
  if (m->payload.len != READING) {
    return fail("a reading has %d bytes, and %.*s has %zu", READING, SHOWN(m->topic), m->payload.len);
  }
  uint32_t wh = number(m->payload.ptr + ENERGY);
  int32_t watts = (int32_t)number(m->payload.ptr + POWER);
  if (is_close(&m->topic, watts)) return ignore();

  hook_list_u8_t power = {m->payload.ptr + POWER, 4};
  uint32_t seconds = repeat_after < UINT32_MAX ? (uint32_t)repeat_after : UINT32_MAX;
  hook_string_t full;
  // If the store is full, the reading is sent too often, but it is not lost.
  if (!hookhost_hook_kv_set(&m->topic, &power, &seconds, &full)) {
    log_line(HOOKHOST_HOOK_LOG_LEVEL_WARN, "the power of %.*s cannot be stored: %.*s", SHOWN(m->topic), SHOWN(full));
    hook_string_free(&full);
  }
  text body = {0};
  put(&body, "{\"topic\":");
  put_json(&body, m->topic);
  put(&body, ",\"watts\":%" PRId32 ",\"wh\":%" PRIu32 ",\"at\":%" PRIu64 "}", watts, wh, m->received_at);
  return post(url, &body);
}

void exports_hookhost_hook_handler_handle(exports_hookhost_hook_handler_list_event_t *events,
                                          exports_hookhost_hook_handler_list_outcome_t *outcomes) {
  outcomes->len = events->len;
  outcomes->ptr = calloc(events->len, sizeof *outcomes->ptr);
  if (outcomes->ptr == NULL && events->len > 0) __builtin_trap();
  for (size_t n = 0; n < events->len; n++) {
    event *e = &events->ptr[n];
    outcomes->ptr[n] = e->detail.tag == HOOKHOST_HOOK_TYPES_DETAIL_MESSAGE_PUBLISH
                           ? on_message_publish(&e->detail.val.message_publish)
                           : ignore();
  }
  exports_hookhost_hook_handler_list_event_free(events);
}
