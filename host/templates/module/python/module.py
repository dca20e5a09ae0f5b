"""{{name}}: sends temperatures above a limit, with its own request body.

Devices publish a number on topics such as devices/k7/temp. The module sends values above the limit to a URL, with the body
{"device":"k7","celsius":21.5,"at":1790000001000}. It ignores all other events.
"""

from hookhost import Pattern, Refused, json, post
from wit_world.imports.types import Hook, Interest


class TheModule:
    """The module for `[config]` in `{{name}}.toml`. The constructor checks the settings and reports all errors at once."""

    def __init__(self, config, host):
        problems = [(key, "is not known") for key in config if key not in ("url", "topic", "above")]
        if not isinstance(config.get("url"), str):
            problems.append(("url", "a URL was expected"))
        # In Python, True and False are numbers too.
        if type(config.get("above")) not in (int, float):
            problems.append(("above", "a number was expected"))
        self.pattern = Pattern(str(config.get("topic")))
        if "device" not in self.pattern.names:
            problems.append(("topic", "one level must be '{device}'"))
        if problems:
            raise Refused(problems)
        self.url, self.above = config["url"], config["above"]
        # The events that the module wants. Other events cost nothing.
        self.interests = [Interest(Hook.MESSAGE_PUBLISH, [self.pattern.filter])]

    def on_message_publish(self, message, event):
        """There can be one such method for each hook. If it raises, the host quarantines the event with the error."""
        celsius = json(message)
        if type(celsius) not in (int, float):
            raise ValueError(f"{message.topic} is no temperature")
        if celsius <= self.above:
            return None
        device = self.pattern.match(message.topic)["device"]
        return post(self.url, {"device": device, "celsius": celsius, "at": message.received_at})
