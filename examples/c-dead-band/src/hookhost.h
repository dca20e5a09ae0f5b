// What a module in C needs beside the types of the contract: text that grows, its settings, topic patterns, outcomes,
// lines for the host's log. Copy it into your module; nothing in it is about one module.
//
// The types are those of `bindings/hook.h`, which wit-bindgen makes of `hook.wit`. What a module returns is freed with
// `free` once the host has read it, each text and each list on its own: give it only what the functions here make.
#ifndef HOOKHOST_H
#define HOOKHOST_H

#include "../bindings/hook.h"

typedef hookhost_hook_types_event_t event;
typedef hookhost_hook_types_message_t message;
typedef hookhost_hook_types_outcome_t outcome;
typedef exports_hookhost_hook_handler_list_interest_t interests;
typedef exports_hookhost_hook_handler_list_problem_t problems;

/// Text that grows; begins as `{0}`. What there is no memory for ends the call with a trap.
typedef struct {
  char *ptr;
  size_t len, room;
} text;

/// Adds to a text, as `printf` does.
void put(text *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Adds a string of JSON, with its quotes.
void put_json(text *to, hook_string_t string);

/// The text as the contract has it; to be returned, or to be freed with `hook_string_free`.
hook_string_t taken(text *from);

/// A string of the contract that shares its bytes with a C string: for arguments, never to be returned.
hook_string_t lent(const char *string);

/// The arguments for `%.*s` of a string of the contract.
#define SHOWN(string) (int)(string).len, (const char *)(string).ptr

/// A key that `[config]` must have, and where its value goes. A string is kept until the instance goes.
typedef struct {
  const char *key;
  char **string;   // either a string,
  double *number;  // or a number,
  int64_t *whole;  // or a whole number
  int64_t least;   // that is not below this one
} setting;

/// Reads `[config]`, a JSON object. Every key must be there and no other may be; all mistakes are added to `wrong`.
/// Returns whether there were none.
bool read_settings(hook_string_t json, const setting *settings, size_t count, problems *wrong);

/// Reads a payload that is a number as JSON has it, of at most 63 characters; returns whether it is one.
bool read_number(hook_list_u8_t payload, double *to);

/// The topic filter of a pattern in which levels have names: of `devices/{device}/temp` it is `devices/+/temp`. To be
/// freed with `free`.
char *filter_of(const char *pattern);

/// Finds the level of a topic that stands where the pattern has `{name}`; returns whether there is one. It lies within the
/// topic.
bool level_of(const char *pattern, const char *name, hook_string_t topic, hook_string_t *level);

/// Adds a mistake of a key; an empty key stands for the whole.
void add_problem(problems *wrong, const char *key, const char *what);

/// Adds an interest in a hook, for one topic filter.
void add_interest(interests *wanted, hookhost_hook_types_hook_t hook, const char *filter);

/// Nothing to send.
outcome ignore(void);

/// The event could not be handled: the host sets it aside with this text, written as by `printf`.
outcome fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// A POST of a body of JSON.
outcome post(const char *url, text *body);

/// A line for the host's log, written as by `printf`; nothing is written while lines of this level are not kept.
void log_line(hookhost_hook_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
