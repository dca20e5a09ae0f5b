"""Reports clients that lose their connection again and again.

If a client ends several connections without DISCONNECT within a time window, the module sends one request:
{"clientid": "k7", "ends": 3, "within": 60, "reason": "closed", "address": "10.0.0.5", "at": "2026-09-21T14:13:21Z"}.
The host stores the count, so it survives a restart and a new version of the module.
"""

from datetime import datetime, timezone

from hookhost import Refused, log, post
from wit_world.imports import kv
from wit_world.imports.types import EndReason, Hook, Interest


class Flapping:
    """The module for `[config]` in `flapping.toml`."""

    def __init__(self, config, host):
        problems = [(key, "is not known") for key in config if key not in ("url", "ends", "within")]
        if not isinstance(config.get("url"), str):
            problems.append(("url", "a URL was expected"))
        for key in ("ends", "within"):
            # In Python, True is an int.
            if type(config.get(key)) is not int or config[key] < 1:
                problems.append((key, "a whole number above 0 was expected"))
        if problems:
            raise Refused(problems)
        self.url, self.ends, self.within = config["url"], config["ends"], config["within"]
        self.interests = [Interest(Hook.CLIENT_DISCONNECTED, [])]
        log.info(f"reports clients with {self.ends} lost connections within {self.within} s")

    def on_client_disconnected(self, disconnection, event):
        """Returns a request for the lost connection that reaches the limit."""
        end = disconnection.end
        if end.reason is EndReason.DISCONNECT:
            return None
        client = disconnection.connection.client
        # The counter starts at 0 and expires `within` seconds after its start.
        ends = kv.add(f"ends/{client.id}", 1, self.within)
        if ends != self.ends:
            return None
        at = datetime.fromtimestamp(event.at // 1000, timezone.utc)
        return post(
            self.url,
            {
                "clientid": client.id,
                "ends": ends,
                "within": self.within,
                "reason": end.reason.name.lower(),
                "address": client.peer.ip if client.peer else None,
                "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        )
