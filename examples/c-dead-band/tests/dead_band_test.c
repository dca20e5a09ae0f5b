// Native tests. They need neither WebAssembly nor a broker. The functions at the end of the file replace the host.
#include "../src/hookhost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

static void check(bool right, int line, const char *what, const char *got) {
  if (right) return;
  failed++;
  fprintf(stderr, "line %d: %s\n  got: %s\n", line, what, got);
}
#define CHECK(condition, got) check(condition, __LINE__, #condition, got)

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

/// Returns the outcome of one message: the body of its request, `ignored`, or the error.
static char *answer(const char *topic, const void *payload, size_t len) {
  event e = {.detail.tag = HOOKHOST_HOOK_TYPES_DETAIL_MESSAGE_PUBLISH};
  e.detail.val.message_publish = (message){
      .topic = lent(topic), .payload = {(uint8_t *)payload, len}, .received_at = 1790000001000};
  exports_hookhost_hook_handler_list_event_t events = {&e, 1};
  exports_hookhost_hook_handler_list_outcome_t outcomes;
  exports_hookhost_hook_handler_handle(&events, &outcomes);
  outcome *o = outcomes.ptr;
  if (o->tag == HOOKHOST_HOOK_TYPES_OUTCOME_IGNORE) return "ignored";
  if (o->tag == HOOKHOST_HOOK_TYPES_OUTCOME_FAIL) return shown(o->val.fail);
  return shown(o->val.deliver.ptr[0].body.val.text);
}

static char *reading(const char *topic, uint32_t wh, int32_t watts) {
  uint8_t bytes[8];
  for (int n = 0; n < 4; n++) {
    bytes[n] = (uint8_t)(wh >> 8 * n);
    bytes[4 + n] = (uint8_t)((uint32_t)watts >> 8 * n);
  }
  return answer(topic, bytes, sizeof bytes);
}

static bool kv_is_full;

static void readings_outside_of_the_band_are_sent(void) {
  configured("{\"url\":\"http://sink/\",\"topic\":\"meters/+/power\",\"band\":50,\"repeat_after\":900}");
  const struct {
    uint32_t wh;
    int32_t watts;
    const char *expected;
  } cases[] = {
      {48231, 1250, "{\"topic\":\"t\",\"watts\":1250,\"wh\":48231,\"at\":1790000001000}"},
      {48232, 1299, "ignored"},
      {48233, 1201, "ignored"},
      {48234, 1300, "{\"topic\":\"t\",\"watts\":1300,\"wh\":48234,\"at\":1790000001000}"},
      {48235, 1250, "{\"topic\":\"t\",\"watts\":1250,\"wh\":48235,\"at\":1790000001000}"},
      {0xffffffff, INT32_MIN, "{\"topic\":\"t\",\"watts\":-2147483648,\"wh\":4294967295,\"at\":1790000001000}"},
      {0, INT32_MAX, "{\"topic\":\"t\",\"watts\":2147483647,\"wh\":0,\"at\":1790000001000}"},
  };
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    char *got = reading("t", cases[n].wh, cases[n].watts);
    CHECK(strcmp(got, cases[n].expected) == 0, got);
  }
  char *got = reading("an \"other\"\n", 1, INT32_MAX);
  CHECK(strstr(got, "{\"topic\":\"an \\\"other\\\"\\u000a\",\"watts\":2147483647,") == got, got);
}

static void what_is_no_reading_is_set_aside(void) {
  char *got = answer("meters/k7/power", "1250", 4);
  CHECK(strcmp(got, "a reading has 8 bytes, and meters/k7/power has 4") == 0, got);
}

static void without_room_readings_are_sent_all_the_same(void) {
  kv_is_full = true;
  CHECK(strncmp(reading("full", 1, 7), "{", 1) == 0, "not sent");
  CHECK(strncmp(reading("full", 1, 7), "{", 1) == 0, "not sent");
  kv_is_full = false;
}

static void settings_are_checked_all_at_once(void) {
  const struct {
    const char *config, *expected;
  } cases[] = {
      {" { \"band\" : 50 , \"repeat_after\" : 1 , \"topic\" : \"a\\u00fc\\\"\\/b\", \"url\" : \"u\" } ", "aü\"/b"},
      {"{}", "url is missing; topic is missing; band is missing; repeat_after is missing; "},
      {"{\"url\":1,\"color\":{\"a\":[1,\"}]\"]},\"topic\":null,\"band\":1.5,\"repeat_after\":0}",
       "url a text was expected; color is not known; topic a text was expected; band a whole number was expected; "
       "repeat_after is too small; "},
      {"{\"url\":\"u\",\"topic\":\"t\",\"band\":1e3,\"repeat_after\":99999999999999999999}",
       "band a whole number was expected; repeat_after a whole number was expected; "},
      {"{\"url\":[\"u\"],\"topic\":\"t\",\"band\":\"5\",\"repeat_after\":-1}",
       "url a text was expected; band a whole number was expected; repeat_after is too small; "},
  };
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    char *got = configured(cases[n].config);
    CHECK(strcmp(got, cases[n].expected) == 0, got);
  }
}

int main(void) {
  readings_outside_of_the_band_are_sent();
  what_is_no_reading_is_set_aside();
  without_room_readings_are_sent_all_the_same();
  settings_are_checked_all_at_once();
  puts(failed == 0 ? "all tests passed" : "tests failed");
  return failed == 0 ? 0 : 1;
}

// The host. It allocates nothing for the module, so the functions that free memory do nothing.

static struct {
  char key[64];
  uint8_t value[4];
} kept[8];

bool hookhost_hook_kv_get(hook_string_t *key, hook_list_u8_t *ret) {
  for (size_t n = 0; n < sizeof kept / sizeof *kept; n++) {
    if (strcmp(kept[n].key, shown(*key)) != 0) continue;
    *ret = (hook_list_u8_t){kept[n].value, sizeof kept[n].value};
    return true;
  }
  return false;
}

bool hookhost_hook_kv_set(hook_string_t *key, hook_list_u8_t *value, uint32_t *ttl, hook_string_t *err) {
  if (kv_is_full || value->len != sizeof kept->value || *ttl != 900) {
    *err = lent("no room");
    return false;
  }
  size_t n = 0;
  while (kept[n].key[0] != 0 && strcmp(kept[n].key, shown(*key)) != 0) n++;
  snprintf(kept[n].key, sizeof kept[n].key, "%s", shown(*key));
  memcpy(kept[n].value, value->ptr, value->len);
  return true;
}

bool hookhost_hook_log_enabled(hookhost_hook_log_level_t level) {
  (void)level;
  return true;
}

void hookhost_hook_log_write(hookhost_hook_log_level_t level, hook_string_t *line) {
  fprintf(stderr, "log %d: %.*s\n", level, SHOWN(*line));
}

void hook_string_free(hook_string_t *string) { (void)string; }
void hook_list_u8_free(hook_list_u8_t *list) { (void)list; }
void exports_hookhost_hook_handler_host_info_free(exports_hookhost_hook_handler_host_info_t *host) { (void)host; }
void exports_hookhost_hook_handler_list_event_free(exports_hookhost_hook_handler_list_event_t *list) { (void)list; }
