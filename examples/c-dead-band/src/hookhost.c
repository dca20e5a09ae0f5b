#include "hookhost.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// `realloc` that traps if there is no memory.
static void *grown(void *ptr, size_t size) {
  ptr = realloc(ptr, size);
  if (ptr == NULL) __builtin_trap();
  return ptr;
}

static void make_room(text *to, size_t more) {
  if (to->room - to->len >= more) return;
  to->room = (to->room + more) * 2 + 64;
  to->ptr = grown(to->ptr, to->room);
}

static void put_list(text *to, const char *format, va_list list) {
  va_list again;
  va_copy(again, list);
  make_room(to, 1);
  int len = vsnprintf(to->ptr + to->len, to->room - to->len, format, list);
  if (len > 0 && (size_t)len >= to->room - to->len) {
    make_room(to, (size_t)len + 1);
    vsnprintf(to->ptr + to->len, (size_t)len + 1, format, again);
  }
  if (len > 0) to->len += (size_t)len;
  va_end(again);
}

void put(text *to, const char *format, ...) {
  va_list list;
  va_start(list, format);
  put_list(to, format, list);
  va_end(list);
}

static void put_byte(text *to, uint8_t byte) {
  make_room(to, 1);
  to->ptr[to->len++] = (char)byte;
}

void put_json(text *to, hook_string_t string) {
  put_byte(to, '"');
  for (size_t at = 0; at < string.len; at++) {
    uint8_t byte = string.ptr[at];
    if (byte < 0x20) {
      put(to, "\\u%04x", byte);
      continue;
    }
    if (byte == '"' || byte == '\\') put_byte(to, '\\');
    put_byte(to, byte);
  }
  put_byte(to, '"');
}

hook_string_t taken(text *from) {
  hook_string_t string = {(uint8_t *)from->ptr, from->len};
  *from = (text){0};
  return string;
}

hook_string_t lent(const char *string) {
  return (hook_string_t){(uint8_t *)string, strlen(string)};
}

static hook_string_t copied(const char *string) {
  size_t len = strlen(string);
  return (hook_string_t){memcpy(grown(NULL, len + 1), string, len), len};
}

// Settings. The host has parsed them, so they are valid JSON, but their values are not checked.

/// The unread rest of a document.
typedef struct {
  const char *at, *end;
} rest;

/// Returns the next byte that is not a space, or 0 at the end.
static char peek(rest *json) {
  while (json->at < json->end && strchr(" \t\r\n", *json->at) != NULL) json->at++;
  return json->at < json->end ? *json->at : 0;
}

/// Skips a byte if it is the next one.
static bool accept(rest *json, char byte) {
  if (peek(json) != byte) return false;
  json->at++;
  return true;
}

static void put_character(text *to, uint32_t c) {
  if (c < 0x80) {
    put_byte(to, (uint8_t)c);
  } else if (c < 0x800) {
    put_byte(to, (uint8_t)(0xc0 | c >> 6));
    put_byte(to, (uint8_t)(0x80 | (c & 0x3f)));
  } else {
    put_byte(to, (uint8_t)(0xe0 | c >> 12));
    put_byte(to, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    put_byte(to, (uint8_t)(0x80 | (c & 0x3f)));
  }
}

/// Reads a string without its quotes, as a C string. The host escapes only quotes, backslashes and control characters; all
/// other characters are UTF-8.
static bool read_string(rest *json, text *to) {
  if (!accept(json, '"')) return false;
  while (json->at < json->end && *json->at != '"') {
    char c = *json->at++;
    if (c != '\\') {
      put_byte(to, (uint8_t)c);
      continue;
    }
    if (json->at == json->end) return false;
    c = *json->at++;
    const char *escape = strchr("b\bf\fn\nr\rt\t", c);
    if (c == 'u') {
      char digits[5] = {0};
      if (json->end - json->at < 4) return false;
      memcpy(digits, json->at, 4);
      json->at += 4;
      put_character(to, (uint32_t)strtoul(digits, NULL, 16));
    } else {
      put_byte(to, (uint8_t)(escape != NULL ? escape[1] : c));
    }
  }
  put_byte(to, 0);
  return accept(json, '"');
}

/// Reads a whole number of up to 18 digits; refuses forms such as `1.5` and `1e3`.
static bool read_whole(rest *json, int64_t *to) {
  char digits[20] = {0};
  size_t len = 0;
  peek(json);
  while (json->at < json->end && len < 19 && strchr("-0123456789", *json->at) != NULL) digits[len++] = *json->at++;
  char *end;
  *to = strtoll(digits, &end, 10);
  return len > 0 && *end == 0 && strchr(",} \t\r\n", peek(json)) != NULL;
}

/// Reads a number; also accepts a few forms that JSON does not, such as `007`.
static bool read_double(rest *json, double *to) {
  char digits[64] = {0};
  size_t len = 0;
  char first = peek(json);
  while (json->at < json->end && len < 63 && strchr("+-.0123456789eE", *json->at) != NULL) digits[len++] = *json->at++;
  char *end;
  *to = strtod(digits, &end);
  return (first == '-' || (first >= '0' && first <= '9')) && *end == 0 && isfinite(*to) &&
         strchr(",} \t\r\n", peek(json)) != NULL;
}

bool read_number(hook_list_u8_t payload, double *to) {
  rest left = {(const char *)payload.ptr, (const char *)payload.ptr + payload.len};
  return read_double(&left, to) && left.at == left.end;
}

/// Skips a value of any type.
static void skip(rest *json) {
  size_t depth = 0;
  do {
    char c = peek(json);
    if (c == '"') {
      text ignored = {0};
      read_string(json, &ignored);
      free(ignored.ptr);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) return;
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (json->at < json->end) json->at++;
  } while (json->at < json->end && (depth > 0 || strchr(",}", peek(json)) == NULL));
}

/// Reads the value of a setting; returns the problem, or NULL.
static const char *read_value(rest *json, const setting *wanted) {
  if (wanted->string != NULL) {
    text string = {0};
    if (peek(json) == '"' && read_string(json, &string)) {
      *wanted->string = string.ptr;
      return NULL;
    }
    free(string.ptr);
    return "a text was expected";
  }
  if (wanted->number != NULL) return read_double(json, wanted->number) ? NULL : "a number was expected";
  if (!read_whole(json, wanted->whole)) return "a whole number was expected";
  return *wanted->whole < wanted->least ? "is too small" : NULL;
}

bool read_settings(hook_string_t json, const setting *settings, size_t count, problems *wrong) {
  size_t before = wrong->len;
  bool found[count];
  memset(found, 0, sizeof found);
  rest left = {(const char *)json.ptr, (const char *)json.ptr + json.len};
  accept(&left, '{');
  while (peek(&left) == '"') {
    text key = {0};
    read_string(&left, &key);
    accept(&left, ':');
    size_t n = 0;
    while (n < count && strcmp(settings[n].key, key.ptr) != 0) n++;
    rest value = left;
    skip(&left);
    value.end = left.at < left.end ? left.at + 1 : left.at;
    const char *what = n < count ? read_value(&value, &settings[n]) : "is not known";
    if (n < count) found[n] = true;
    if (what != NULL) add_problem(wrong, key.ptr, what);
    free(key.ptr);
    accept(&left, ',');
  }
  for (size_t n = 0; n < count; n++) {
    if (!found[n]) add_problem(wrong, settings[n].key, "is missing");
  }
  return wrong->len == before;
}

// Topics.

/// Reads the next level of a topic; returns false at the end.
static bool next_level(rest *topic, hook_string_t *level) {
  if (topic->at == NULL) return false;
  const char *slash = memchr(topic->at, '/', (size_t)(topic->end - topic->at));
  *level = (hook_string_t){(uint8_t *)topic->at, (size_t)((slash != NULL ? slash : topic->end) - topic->at)};
  topic->at = slash != NULL ? slash + 1 : NULL;
  return true;
}

static bool has_name(hook_string_t level) {
  return level.len > 2 && level.ptr[0] == '{' && level.ptr[level.len - 1] == '}';
}

char *filter_of(const char *pattern) {
  rest levels = {pattern, pattern + strlen(pattern)};
  text filter = {0};
  const char *between = "";
  for (hook_string_t level; next_level(&levels, &level); between = "/") {
    if (has_name(level)) level = lent("+");
    put(&filter, "%s%.*s", between, SHOWN(level));
  }
  return filter.ptr;
}

bool level_of(const char *pattern, const char *name, hook_string_t topic, hook_string_t *level) {
  rest levels = {pattern, pattern + strlen(pattern)};
  rest parts = {(const char *)topic.ptr, (const char *)topic.ptr + topic.len};
  hook_string_t wanted;
  while (next_level(&levels, &wanted) && next_level(&parts, level)) {
    if (has_name(wanted) && wanted.len - 2 == strlen(name) && memcmp(wanted.ptr + 1, name, wanted.len - 2) == 0) return true;
  }
  return false;
}

// Outcomes.

void add_problem(problems *wrong, const char *key, const char *what) {
  wrong->ptr = grown(wrong->ptr, (wrong->len + 1) * sizeof *wrong->ptr);
  wrong->ptr[wrong->len++] = (hookhost_hook_types_problem_t){copied(key), copied(what)};
}

void add_interest(interests *wanted, hookhost_hook_types_hook_t hook, const char *filter) {
  hook_list_string_t filters = {grown(NULL, sizeof(hook_string_t)), 1};
  filters.ptr[0] = copied(filter);
  wanted->ptr = grown(wanted->ptr, (wanted->len + 1) * sizeof *wanted->ptr);
  wanted->ptr[wanted->len++] = (hookhost_hook_types_interest_t){hook, filters};
}

outcome ignore(void) { return (outcome){.tag = HOOKHOST_HOOK_TYPES_OUTCOME_IGNORE}; }

outcome fail(const char *format, ...) {
  text why = {0};
  va_list list;
  va_start(list, format);
  put_list(&why, format, list);
  va_end(list);
  return (outcome){.tag = HOOKHOST_HOOK_TYPES_OUTCOME_FAIL, .val.fail = taken(&why)};
}

outcome post(const char *url, text *body) {
  hook_list_tuple2_string_string_t headers = {grown(NULL, sizeof(hook_tuple2_string_string_t)), 1};
  headers.ptr[0] = (hook_tuple2_string_string_t){copied("content-type"), copied("application/json")};
  hookhost_hook_types_list_request_t requests = {grown(NULL, sizeof(hookhost_hook_types_request_t)), 1};
  requests.ptr[0] = (hookhost_hook_types_request_t){
      .method = HOOKHOST_HOOK_TYPES_METHOD_POST,
      .url = copied(url),
      .headers = headers,
      .body = {.tag = HOOKHOST_HOOK_TYPES_BODY_TEXT, .val.text = taken(body)},
  };
  return (outcome){.tag = HOOKHOST_HOOK_TYPES_OUTCOME_DELIVER, .val.deliver = requests};
}

void log_line(hookhost_hook_log_level_t level, const char *format, ...) {
  if (!hookhost_hook_log_enabled(level)) return;
  text line = {0};
  va_list list;
  va_start(list, format);
  put_list(&line, format, list);
  va_end(list);
  hook_string_t string = taken(&line);
  hookhost_hook_log_write(level, &string);
  free(string.ptr);
}
