// Native tests. They need neither WebAssembly nor a broker. The functions at the end of the file replace the host.
#include "../src/hookhost.h"

#include <stdio.h>
#include <string.h>

static int failed;

static void check(int line, const char *got, const char *expected) {
  if (strcmp(got, expected) == 0) return;
  failed++;
  fprintf(stderr, "line %d: expected: %s\n  got: %s\n", line, expected, got);
}
#define CHECK(got, expected) check(__LINE__, got, expected)

/// Converts a string of the contract to a C string, which is never freed.
static char *shown(hook_string_t string) {
  text copy = {0};
  put(&copy, "%.*s", SHOWN(string));
  return (char *)taken(&copy).ptr;
}

/// Configures the module and returns its topic filter, or the problems.
static char *configured(const char *config) {
  exports_hookhost_hook_handler_host_info_t host = {0};
  hook_string_t json = lent(config);
  interests wanted;
  problems wrong;
  if (exports_hookhost_hook_handler_configure(&host, &json, &wanted, &wrong)) return shown(wanted.ptr->filters.ptr[0]);
  text told = {0};
  for (size_t n = 0; n < wrong.len; n++) put(&told, "%.*s %.*s; ", SHOWN(wrong.ptr[n].key), SHOWN(wrong.ptr[n].text));
  return (char *)taken(&told).ptr;
}

/// Returns the outcome of one message: its request, `ignored`, or the error.
static char *answer(const char *payload) {
  configured("{\"url\":\"http://sink/\",\"topic\":\"devices/{device}/temp\",\"above\":20.0}");
  event e = {.detail.tag = HOOKHOST_HOOK_TYPES_DETAIL_MESSAGE_PUBLISH};
  hook_string_t bytes = lent(payload);
  e.detail.val.message_publish = (message){
      .topic = lent("devices/k7/temp"), .payload = {bytes.ptr, bytes.len}, .received_at = 1790000001000};
  exports_hookhost_hook_handler_list_event_t events = {&e, 1};
  exports_hookhost_hook_handler_list_outcome_t outcomes;
  exports_hookhost_hook_handler_handle(&events, &outcomes);
  outcome *o = outcomes.ptr;
  if (o->tag == HOOKHOST_HOOK_TYPES_OUTCOME_IGNORE) return "ignored";
  if (o->tag == HOOKHOST_HOOK_TYPES_OUTCOME_FAIL) return shown(o->val.fail);
  text request = {0};
  hookhost_hook_types_request_t *sent = o->val.deliver.ptr;
  put(&request, "%.*s %.*s", SHOWN(sent->url), SHOWN(sent->body.val.text));
  return (char *)taken(&request).ptr;
}

static void a_value_above_the_limit_is_sent(void) {
  CHECK(answer("21.5"), "http://sink/ {\"device\":\"k7\",\"celsius\":21.5,\"at\":1790000001000}");
  CHECK(answer(" 2.05e1 "), "http://sink/ {\"device\":\"k7\",\"celsius\":20.5,\"at\":1790000001000}");
}

static void other_values_are_ignored(void) {
  CHECK(answer("20"), "ignored");
  CHECK(answer("-3.5"), "ignored");
}

static void a_payload_that_is_not_a_number_fails(void) {
  const char *payloads[] = {"hot", "", "-", "\"21\"", "21,", "21 22", "0x20", "inf", "nan", "1e999", "true"};
  for (size_t n = 0; n < sizeof payloads / sizeof *payloads; n++) {
    CHECK(answer(payloads[n]), "devices/k7/temp is no temperature");
  }
}

static void settings_are_checked(void) {
  CHECK(configured("{\"url\":\"u\",\"topic\":\"{device}/{more}/x\",\"above\":-1}"), "+/+/x");
  CHECK(configured("{\"url\":1,\"topic\":\"devices/+/temp\",\"above\":\"20\",\"color\":\"red\"}"),
        "url a text was expected; above a number was expected; color is not known; topic one level must be '{device}'; ");
}

int main(void) {
  a_value_above_the_limit_is_sent();
  other_values_are_ignored();
  a_payload_that_is_not_a_number_fails();
  settings_are_checked();
  puts(failed == 0 ? "all tests passed" : "tests failed");
  return failed == 0 ? 0 : 1;
}

// The host. It allocates nothing for the module, so the functions that free memory do nothing.

bool hookhost_hook_log_enabled(hookhost_hook_log_level_t level) {
  (void)level;
  return true;
}

void hookhost_hook_log_write(hookhost_hook_log_level_t level, hook_string_t *line) {
  fprintf(stderr, "log %d: %.*s\n", level, SHOWN(*line));
}

void hook_string_free(hook_string_t *string) { (void)string; }
void exports_hookhost_hook_handler_host_info_free(exports_hookhost_hook_handler_host_info_t *host) { (void)host; }
void exports_hookhost_hook_handler_list_event_free(exports_hookhost_hook_handler_list_event_t *list) { (void)list; }
