"""Helpers for modules in Python: the export of the contract, topic patterns, requests and the log.

Copy this file to your module; it is the same for every module. componentize-py generates `wit_world` from `hook.wit`.
"""

import json as _json
import re
import traceback
from itertools import accumulate

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log as _log
from wit_world.imports import types
from wit_world.imports.types import Body_Text, Method, Outcome_Deliver, Outcome_Fail, Outcome_Ignore, Problem, Request


class Refused(Exception):
    """Raise this while the module is created if its settings are wrong. Takes pairs of a key and a problem."""

    def __init__(self, problems):
        super().__init__("; ".join(f"{key}: {text}" if key else text for key, text in problems))
        self.problems = problems


def exported(make):
    """Returns the class `Handler` of a component for a function or class that creates a module: `make(config, host)`.

    `config` is `[config]` of the module's .toml as a dict, `host` the host-info of the contract. The module has
    `interests`, a list of `Interest`, and for each hook a method such as `on_message_publish(detail, event)`, which
    returns a request, a list of requests or None. If the method raises, the event fails, and the host quarantines it with
    the traceback. The other events of the batch are not affected.
    """

    class Handler(exports.Handler):
        def configure(self, host, config):
            global _module
            try:
                _module = make(_json.loads(config), host)
            except Refused as refused:
                raise Err([Problem(key, text) for key, text in refused.problems])
            except Exception:
                raise Err([Problem("", traceback.format_exc())])
            return _module.interests

        def handle(self, events):
            return [_outcome(_module, event) for event in events]

    return Handler


# componentize-py creates a new `Handler` for each call.
_module = None


def _outcome(module, event):
    try:
        answer = getattr(module, _METHODS[type(event.detail)], None)
        requests = answer and answer(event.detail.value, event)
    except Exception:
        return Outcome_Fail(traceback.format_exc())
    if not requests:
        return Outcome_Ignore()
    return Outcome_Deliver(requests if isinstance(requests, list) else [requests])


# `on_message_publish` handles `Detail_MessagePublish`.
_METHODS = {
    case: "on" + re.sub("([A-Z])", r"_\1", name.removeprefix("Detail_")).lower()
    for name, case in vars(types).items()
    if name.startswith("Detail_")
}


def post(url, value, headers=(), ordering_key=None, destination=None):
    """A POST request with a value as JSON; a `Request`, whose fields you can change."""
    # Infinity and NaN are not JSON and raise ValueError.
    body = Body_Text(_json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    headers = [("content-type", "application/json"), *headers]
    return Request(Method.POST, url, headers, body, ordering_key, destination, [])


def json(message):
    """Parses the payload of a message as JSON in UTF-8; raises ValueError if it is not JSON, or nested too deeply."""
    text = str(message.payload, "utf-8")
    if text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} levels deep")
    return _decoder.decode(text)


def _depth(text):
    brackets = _NO_BRACKETS.sub("", text)
    return max(accumulate(map({"[": 1, "{": 1, "]": -1, "}": -1}.get, brackets)), default=0)


def _constant(name):
    raise ValueError(f"{name} is not JSON")


# Without this limit Python exhausts the stack of the component at about 800 levels, which is a trap and no exception.
_DEEPEST = 256
# A string, which may be unterminated, or other text between brackets.
_NO_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^][{}"]+', re.DOTALL)
# By default Python accepts NaN and Infinity as numbers.
_decoder = _json.JSONDecoder(parse_constant=_constant)


class Pattern:
    """A topic filter with named wildcards: `fleet/{vehicle}/{*rest}` is the filter `fleet/+/#`."""

    def __init__(self, pattern):
        levels = [re.fullmatch(r"\{(\*?)(.+)\}", level) or level for level in pattern.split("/")]
        names = [(at, level[2], bool(level[1])) for at, level in enumerate(levels) if not isinstance(level, str)]
        self.filter = "/".join(level if isinstance(level, str) else "#" if level[1] else "+" for level in levels)
        self.names = [name for _, name, _ in names]
        self._names = names

    def match(self, topic):
        """Returns the values of the names in a topic that matches the filter, as a dict."""
        parts = topic.split("/")
        return {name: "/".join(parts[at:]) if rest else parts[at] for at, name, rest in self._names}


class log:
    """Writes lines to the log of the host."""

    @staticmethod
    def error(line):
        _log.write(_log.Level.ERROR, line)

    @staticmethod
    def warn(line):
        _log.write(_log.Level.WARN, line)

    @staticmethod
    def info(line):
        _log.write(_log.Level.INFO, line)

    @staticmethod
    def debug(line):
        _log.write(_log.Level.DEBUG, line)
