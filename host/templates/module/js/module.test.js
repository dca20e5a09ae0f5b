// Native tests. They need neither WebAssembly nor a broker.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, exported } from "../src/hookhost.js";
import { makeModule } from "../src/module.js";

const settings = { url: "http://sink/", topic: "devices/{device}/temp", above: 20 };

function configured(config = settings) {
  const handler = exported(makeModule);
  const interests = handler.configure({ module: "{{name}}" }, JSON.stringify(config));
  return { handler, interests };
}

function outcome(payload) {
  const message = { topic: "devices/k7/temp", payload: bytes(payload), receivedAt: 1790000001000 };
  const event = { id: "E1", at: 1790000001002, detail: { tag: "message-publish", val: message } };
  return configured().handler.handle([event])[0];
}

test("a value above the limit is sent", () => {
  const [request] = outcome("21.5").val;
  assert.equal(request.url, "http://sink/");
  assert.equal(request.body.val, '{"device":"k7","celsius":21.5,"at":1790000001000}');
});

test("other values are ignored", () => {
  for (const payload of ["20", "-3.5"]) assert.deepEqual(outcome(payload), { tag: "ignore" });
});

test("a payload that is not a number fails", () => {
  assert.equal(outcome("hot").tag, "fail");
  for (const payload of ['"hot"', "true", "1e999"]) {
    assert.match(outcome(payload).val, /devices\/k7\/temp is no temperature/);
  }
});

test("only temperatures are wanted", () => {
  assert.deepEqual(configured().interests, [{ hook: "message-publish", filters: ["devices/+/temp"] }]);
});

test("settings are checked", () => {
  assert.throws(
    () => configured({ url: 1, topic: 5, above: "20", color: "red" }),
    (problems) => {
      assert.deepEqual(problems.map(({ key }) => key), ["color", "url", "above", "topic"]);
      return true;
    },
  );
});
