// Helpers for modules in C: growing text, settings, topic patterns, outcomes and log lines. Copy this file to your module;
// it is the same for every module.
//
// The types are those of `bindings/hook.h`, which wit-bindgen generates from `hook.wit`. After the host has read what a
// module returns, each text and each list is freed with `free`. Return only values that the functions here create.
#ifndef HOOKHOST_H
#define HOOKHOST_H

#include "../bindings/hook.h"

typedef hookhost_hook_types_event_t event;
typedef hookhost_hook_types_message_t message;
typedef hookhost_hook_types_outcome_t outcome;
typedef exports_hookhost_hook_handler_list_interest_t interests;
typedef exports_hookhost_hook_handler_list_problem_t problems;

/// Growing text; initialise it with `{0}`. Without memory the call traps.
typedef struct {
  char *ptr;
  size_t len, room;
} text;

/// Appends to a text, with a format as in `printf`.
void put(text *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Appends a JSON string, with quotes.
void put_json(text *to, hook_string_t string);

/// Converts a text to a string of the contract. Return it, or free it with `hook_string_free`.
hook_string_t taken(text *from);

/// A string of the contract that shares its bytes with a C string. Use it for arguments; never return it.
hook_string_t lent(const char *string);

/// The arguments for `%.*s` to print a string of the contract.
#define SHOWN(string) (int)(string).len, (const char *)(string).ptr

/// A required key of `[config]`, and the variable for its value. A string lives as long as the instance.
typedef struct {
  const char *key;
  char **string;   // either a string,
  double *number;  // or a number,
  int64_t *whole;  // or a whole number
  int64_t least;   // that is at least this one
} setting;

/// Reads `[config]`, a JSON object. Every key is required, and other keys are errors. Adds all errors to `wrong` and returns
/// true if there were none.
bool read_settings(hook_string_t json, const setting *settings, size_t count, problems *wrong);

/// Reads a payload that is a JSON number of at most 63 characters; returns false if it is not.
bool read_number(hook_list_u8_t payload, double *to);

/// The topic filter of a pattern with named levels: for `devices/{device}/temp` it is `devices/+/temp`. Free it with `free`.
char *filter_of(const char *pattern);

/// Finds the level of a topic at the position of `{name}` in the pattern; returns false if there is none. The level points
/// into the topic.
bool level_of(const char *pattern, const char *name, hook_string_t topic, hook_string_t *level);

/// Adds a problem with a key; an empty key means all settings.
void add_problem(problems *wrong, const char *key, const char *what);

/// Adds a hook that the module wants, for one topic filter.
void add_interest(interests *wanted, hookhost_hook_types_hook_t hook, const char *filter);

/// An outcome that sends nothing.
outcome ignore(void);

/// The event could not be handled. The host quarantines it with this text, formatted as in `printf`.
outcome fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// A POST request with a JSON body.
outcome post(const char *url, text *body);

/// Writes a line to the log of the host, formatted as in `printf`, if the host logs this level.
void log_line(hookhost_hook_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
