// Native tests. They need neither WebAssembly nor a broker.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pattern, bytes, exported, json, text } from "../src/hookhost.js";
import { vehiclePosition } from "../src/position.js";

const settings = { url: "http://sink/", topic: "fleet/{vehicle}/position", slowest_kmh: 5 };

function configured(config = settings) {
  const handler = exported(vehiclePosition);
  const interests = handler.configure({ module: "vehicle-position" }, JSON.stringify(config));
  return { handler, interests };
}

function publish(topic, payload) {
  const message = { topic, payload: bytes(payload), receivedAt: 1790000001000 };
  return { id: "E1", at: 1790000001002, detail: { tag: "message-publish", val: message } };
}

test("a moving vehicle is sent with other names", () => {
  const event = publish("fleet/k7/position", '{"lat": 52.52, "lon": 13.405, "speed": 12.5, "fuel": 80}');
  const [outcome] = configured().handler.handle([event]);
  assert.equal(outcome.val[0].url, "http://sink/");
  assert.equal(
    outcome.val[0].body.val,
    '{"vehicleId":"k7","position":[13.405,52.52],"kmh":45,"reportedAt":"2026-09-21T14:13:21.000Z"}',
  );
});

test("a vehicle that does not move is ignored", () => {
  const event = publish("fleet/k7/position", '{"lat": 52.52, "lon": 13.405, "speed": 1}');
  assert.deepEqual(configured().handler.handle([event]), [{ tag: "ignore" }]);
});

test("a payload that is not a position fails, and no other event of its batch", () => {
  const good = '{"lat": 1, "lon": 2, "speed": 3}';
  const events = ["parked", '{"lat": "north"}', good].map((payload) => publish("fleet/k7/position", payload));
  const outcomes = configured().handler.handle(events);
  assert.deepEqual(outcomes.map(({ tag }) => tag), ["fail", "fail", "deliver"]);
  assert.match(outcomes[0].val, /^SyntaxError/);
  assert.match(outcomes[1].val, /lat, lon and speed must be numbers/);
});

test("only positions are wanted", () => {
  assert.deepEqual(configured().interests, [{ hook: "message-publish", filters: ["fleet/+/position"] }]);
});

test("all errors in the settings are reported at once", () => {
  const wrong = { url: 1, topic: 5, slowest_kmh: "5", color: "red" };
  assert.throws(
    () => configured(wrong),
    (problems) => {
      assert.deepEqual(problems.map(({ key }) => key), ["color", "url", "slowest_kmh", "topic"]);
      return true;
    },
  );
});

test("text is UTF-8", () => {
  for (const sample of ["", "abc", "grüße", "温度 🌡", "x".repeat(100_000) + "é"]) {
    assert.equal(text(bytes(sample)), sample);
    assert.deepEqual(bytes(sample), new TextEncoder().encode(sample));
  }
  assert.throws(() => text(new Uint8Array([0x61, 0xff])), URIError);
});

test("JSON may be nested, but not so deeply that a component's stack is exhausted", () => {
  const read = (sample) => json({ payload: bytes(sample) });
  const flat = `[${Array(1000).fill('{"\\"[[":[]}').join()}]`;
  for (const sample of ["1", " [null] ", "[".repeat(256) + "]".repeat(256), flat]) {
    assert.deepEqual(read(sample), JSON.parse(sample));
  }
  for (const sample of ["[".repeat(257) + "]".repeat(257), '{"a":'.repeat(5000), "[".repeat(1_000_000), '"['.repeat(1000)]) {
    assert.throws(() => read(sample), SyntaxError);
  }
});

test("patterns name levels", () => {
  const pattern = new Pattern("a/{b}/+/{*rest}");
  assert.equal(pattern.filter, "a/+/+/#");
  assert.deepEqual(pattern.match("a/1/2/3/4"), { b: "1", rest: "3/4" });
  assert.deepEqual(pattern.match("a/1/2"), { b: "1", rest: "" });
});
