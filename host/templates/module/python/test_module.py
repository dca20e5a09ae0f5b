"""Native tests. They need neither WebAssembly nor a broker, only the types that componentize-py generates from the contract.

    rm -rf build/bindings
    componentize-py -d wit -w hook-module bindings build/bindings
    PYTHONPATH=src:build/bindings python -m unittest discover tests
"""

import json
import unittest

from componentize_py_types import Err
from hookhost import exported
from module import TheModule
from wit_world.imports.types import (
    Client,
    Detail_MessagePublish,
    Event,
    Hook,
    HostInfo,
    Interest,
    Message,
    Node,
    Origin,
    Outcome_Fail,
    Outcome_Ignore,
)

SETTINGS = {"url": "http://sink/", "topic": "devices/{device}/temp", "above": 20}
HOST = HostInfo(Node("hookhost@127.0.0.1", 1), "{{version}}", "{{name}}", 1)


def publish(payload):
    message = Message(
        id="01",
        publisher=Client("k7", None, None, 4, None, None),
        origin=Origin.CLIENT,
        topic="devices/k7/temp",
        payload=payload,
        qos=0,
        retain=False,
        dup=False,
        packet_id=None,
        received_at=1790000001000,
        properties=None,
    )
    return Event("E1", 1790000001002, 0, Detail_MessagePublish(message), None)


class ModuleTest(unittest.TestCase):
    def setUp(self):
        self.handler = exported(TheModule)()

    def configure(self, **changes):
        return self.handler.configure(HOST, json.dumps(SETTINGS | changes))

    def outcome(self, payload):
        self.configure()
        (outcome,) = self.handler.handle([publish(payload)])
        return outcome

    def test_a_value_above_the_limit_is_sent(self):
        (request,) = self.outcome(b"21.5").value
        self.assertEqual(request.url, "http://sink/")
        self.assertEqual(request.body.value, '{"device":"k7","celsius":21.5,"at":1790000001000}')

    def test_other_values_are_ignored(self):
        for payload in (b"20", b"-3.5"):
            self.assertEqual(self.outcome(payload), Outcome_Ignore())

    def test_a_payload_that_is_not_a_number_fails(self):
        for payload in (b"hot", b'"hot"', b"\xff", b"true", b"null", b"NaN", b"1e999"):
            self.assertIsInstance(self.outcome(payload), Outcome_Fail)

    def test_only_temperatures_are_wanted(self):
        self.assertEqual(self.configure(), [Interest(Hook.MESSAGE_PUBLISH, ["devices/+/temp"])])

    def test_settings_are_checked(self):
        with self.assertRaises(Err) as refused:
            self.configure(url=1, topic=5, above="20", color="red")
        self.assertEqual([problem.key for problem in refused.exception.value], ["color", "url", "above", "topic"])
        for above in (True, None, [20]):
            with self.assertRaises(Err) as refused:
                self.configure(above=above)
            (problem,) = refused.exception.value
            self.assertEqual((problem.key, problem.text), ("above", "a number was expected"))


if __name__ == "__main__":
    unittest.main()
