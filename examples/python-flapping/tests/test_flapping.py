"""Native tests. They need neither WebAssembly nor a broker, only the types that componentize-py generates from the contract.

The README has the commands.
"""

import json
import types
import unittest
from unittest import mock

import hookhost

from componentize_py_types import Err
from hookhost import Pattern, exported
from flapping import Flapping
from wit_world.imports import kv, log
from wit_world.imports.types import (
    Address,
    Client,
    Connection,
    Detail_ClientDisconnected,
    Detail_SessionCreated,
    Disconnection,
    End,
    EndReason,
    Event,
    Hook,
    HostInfo,
    Interest,
    Node,
    Outcome_Fail,
    Outcome_Ignore,
    Session,
    Transport,
)

SETTINGS = {"url": "http://sink/", "ends": 3, "within": 60}
HOST = HostInfo(Node("hookhost@127.0.0.1", 1), "0.1.0", "flapping", 1)
PEER = Address("10.0.0.5", 50716)


def client(name, peer=PEER):
    return Client(name, None, peer, 4, None, None)


def event(detail):
    return Event("E1", 1790000001002, 0, detail, None)


def disconnected(name, reason, peer=PEER):
    connection = Connection(
        client=client(name, peer),
        listener="tcp",
        transport=Transport.TCP,
        local=None,
        protocol_name="MQTT",
        bridge=False,
        keep_alive=60,
        clean_start=True,
        session_expiry=0,
        receive_maximum=65535,
        mountpoint=None,
        certificate=None,
        properties=None,
    )
    end = End(reason, None, None, None)
    return event(Detail_ClientDisconnected(Disconnection(connection, end, None, 1790000001002)))


class FlappingTest(unittest.TestCase):
    def setUp(self):
        """Test doubles for the interfaces of the host."""
        self.counts = {}
        self.spans = set()
        for patch in (mock.patch.object(kv, "add", self.add), mock.patch.object(log, "write", lambda *_: None)):
            patch.start()
            self.addCleanup(patch.stop)
        self.handler = exported(Flapping)()

    def add(self, key, amount, ttl):
        self.spans.add(ttl)
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]

    def configure(self, **changes):
        return self.handler.configure(HOST, json.dumps(SETTINGS | changes))

    def test_the_third_lost_connection_is_reported_once(self):
        self.configure()
        outcomes = self.handler.handle([disconnected("k7", EndReason.CLOSED)] * 5 + [disconnected("k8", EndReason.CLOSED)])
        ignored = Outcome_Ignore()
        self.assertEqual(outcomes[:2] + outcomes[3:], [ignored] * 5)
        (request,) = outcomes[2].value
        self.assertEqual(request.url, "http://sink/")
        self.assertEqual(
            request.body.value,
            '{"clientid":"k7","ends":3,"within":60,"reason":"closed","address":"10.0.0.5","at":"2026-09-21T14:13:21Z"}',
        )
        self.assertEqual(self.spans, {60})

    def test_a_client_that_sends_disconnect_is_not_counted(self):
        self.configure()
        outcomes = self.handler.handle([disconnected("k7", EndReason.DISCONNECT)] * 5)
        self.assertEqual(outcomes, [Outcome_Ignore()] * 5)
        self.assertEqual(self.counts, {})

    def test_a_client_without_an_address(self):
        self.configure(ends=1)
        (outcome,) = self.handler.handle([disconnected("k7", EndReason.KEEP_ALIVE_TIMEOUT, peer=None)])
        body = json.loads(outcome.value[0].body.value)
        self.assertEqual((body["address"], body["reason"]), (None, "keep_alive_timeout"))

    def test_an_event_without_a_method_is_ignored(self):
        self.configure()
        self.assertEqual(self.handler.handle([event(Detail_SessionCreated(Session(client("k7"), None)))]), [Outcome_Ignore()])

    def test_an_event_that_raises_fails_alone(self):
        self.configure(ends=1)
        with mock.patch.object(kv, "add", side_effect=[Err("65536 keys"), 1]):
            outcomes = self.handler.handle([disconnected("k7", EndReason.CLOSED)] * 2)
        self.assertIsInstance(outcomes[0], Outcome_Fail)
        self.assertIn("65536 keys", outcomes[0].value)
        self.assertEqual(len(outcomes[1].value), 1)

    def test_only_ends_of_connections_are_wanted(self):
        self.assertEqual(self.configure(), [Interest(Hook.CLIENT_DISCONNECTED, [])])

    def test_all_errors_in_the_settings_are_reported_at_once(self):
        with self.assertRaises(Err) as refused:
            self.configure(url=1, ends=0, within="60", color="red")
        self.assertEqual([problem.key for problem in refused.exception.value], ["color", "url", "ends", "within"])
        with self.assertRaises(Err) as refused:
            self.configure(ends=True)
        self.assertEqual([problem.key for problem in refused.exception.value], ["ends"])


class PatternTest(unittest.TestCase):
    def test_levels_have_names(self):
        pattern = Pattern("a/{b}/+/{*rest}")
        self.assertEqual(pattern.filter, "a/+/+/#")
        self.assertEqual(pattern.match("a/1/2/3/4"), {"b": "1", "rest": "3/4"})
        self.assertEqual(pattern.match("a/1/2"), {"b": "1", "rest": ""})


class JsonTest(unittest.TestCase):
    """Natively Python reads more than UTF-8, and in a component it does not have the codecs which it tries."""

    def json(self, payload):
        return hookhost.json(types.SimpleNamespace(payload=payload))

    def test_json_is_utf_8(self):
        flat = "[" + ",".join(['{"\\"[[":[]}'] * 1000) + "]"
        for text in ("1", '{"ort":"Köln"}', '"\U0001f321"', " [null] ", "[" * 256 + "]" * 256, flat):
            self.assertEqual(self.json(text.encode()), json.loads(text))

    def test_all_else_is_one_kind_of_error(self):
        deep = [b"[" * 257 + b"]" * 257, b'{"a":' * 1000, b"[" * 1_000_000, b'"[' * 1000]
        others = ['{"a":1}'.encode(name) for name in ("utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le", "utf-8-sig")]
        for payload in [b"", b"hot", b"NaN", b"\xff", b"\0\0\1{}", b"\0{", b"{\0", *deep, *others]:
            with self.subTest(payload=payload[:20]), self.assertRaises(ValueError):
                self.json(payload)


if __name__ == "__main__":
    unittest.main()
