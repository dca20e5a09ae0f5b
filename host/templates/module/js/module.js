// {{name}}: temperatures above a limit, with a body of our own.
//
// Devices publish a number on topics such as devices/k7/temp. What is above the limit goes to a URL as
// {"device":"k7","celsius":21.5,"at":1790000001000}; all else goes nowhere.
import { Pattern, Refused, json, post } from "./hookhost.js";

/** Makes the module of `[config]` in `{{name}}.toml`. Settings that are wrong are refused, all mistakes at once. */
export function makeModule(config) {
  const { url, topic, above, ...unknown } = config;
  const problems = Object.keys(unknown).map((key) => ({ key, text: "is not known" }));
  if (typeof url !== "string") problems.push({ key: "url", text: "a URL was expected" });
  if (typeof above !== "number") problems.push({ key: "above", text: "a number was expected" });
  const pattern = new Pattern(String(topic));
  if (!pattern.names.includes("device")) problems.push({ key: "topic", text: "one level must be '{device}'" });
  if (problems.length > 0) throw new Refused(problems);

  return {
    // What the module wants to be told. Events that it does not ask for cost nothing.
    interests: [{ hook: "message-publish", filters: [pattern.filter] }],

    // There may be such a method for each hook. If it throws, the host sets the event aside with the error's text.
    "message-publish"(message) {
      const celsius = json(message);
      if (!Number.isFinite(celsius)) throw new Error(`${message.topic} is no temperature`);
      if (celsius <= above) return null;
      const { device } = pattern.match(message.topic);
      return post(url, { device, celsius, at: Number(message.receivedAt) });
    },
  };
}
