// {{name}}: sends temperatures above a limit, with its own request body.
//
// Devices publish a number on topics such as devices/k7/temp. The module sends values above the limit to a URL, with the body
// {"device":"k7","celsius":21.5,"at":1790000001000}. It ignores all other events.
#include "hookhost.h"

#include <inttypes.h>
#include <stdlib.h>

/// `[config]` of `{{name}}.toml`.
static char *url, *topic;
static double above;

/// Reads the settings and returns the events that the module wants. Reports all errors in the settings at once.
bool exports_hookhost_hook_handler_configure(exports_hookhost_hook_handler_host_info_t *host, hook_string_t *config,
                                             interests *wanted, problems *wrong) {
  const setting settings[] = {
      {.key = "url", .string = &url},
      {.key = "topic", .string = &topic},
      {.key = "above", .number = &above},
  };
  *wanted = (interests){0};
  *wrong = (problems){0};
  read_settings(*config, settings, sizeof settings / sizeof *settings, wrong);
  hook_string_t device;
  if (topic != NULL && !level_of(topic, "device", lent(topic), &device)) {
    add_problem(wrong, "topic", "one level must be '{device}'");
  }
  bool right = wrong->len == 0;
  if (right) {
    // Events that the module does not want cost nothing.
    char *filter = filter_of(topic);
    add_interest(wanted, HOOKHOST_HOOK_TYPES_HOOK_MESSAGE_PUBLISH, filter);
    free(filter);
  }
  exports_hookhost_hook_handler_host_info_free(host);
  hook_string_free(config);
  return right;
}

static outcome on_message_publish(message *m) {
  double celsius;
  if (!read_number(m->payload, &celsius)) return fail("%.*s is no temperature", SHOWN(m->topic));
  if (celsius <= above) return ignore();
  hook_string_t device = {0};
  level_of(topic, "device", m->topic, &device);
  text body = {0};
  put(&body, "{\"device\":");
  put_json(&body, device);
  put(&body, ",\"celsius\":%.15g,\"at\":%" PRIu64 "}", celsius, m->received_at);
  return post(url, &body);
}

/// Returns one outcome for each event, in the same order.
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
