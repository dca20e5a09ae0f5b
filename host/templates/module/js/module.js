// {{name}}: sends temperatures above a limit, with its own request body.
//
// Devices publish a number on topics such as devices/k7/temp. The module sends values above the limit to a URL, with the body
// {"device":"k7","celsius":21.5,"at":1790000001000}. It ignores all other events.
import { Pattern, Refused, json, post } from "./hookhost.js";

/** Creates the module for `[config]` in `{{name}}.toml`. Checks the settings and reports all errors at once. */
export function makeModule(config) {
  const { url, topic, above, ...unknown } = config;
  const problems = Object.keys(unknown).map((key) => ({ key, text: "is not known" }));
  if (typeof url !== "string") problems.push({ key: "url", text: "a URL was expected" });
  if (typeof above !== "number") problems.push({ key: "above", text: "a number was expected" });
  const pattern = new Pattern(String(topic));
  if (!pattern.names.includes("device")) problems.push({ key: "topic", text: "one level must be '{device}'" });
  if (problems.length > 0) throw new Refused(problems);

  return {
    // The events that the module wants. Other events cost nothing.
    interests: [{ hook: "message-publish", filters: [pattern.filter] }],

    // There can be one such method for each hook. If it throws, the host quarantines the event with the text of the error.
    "message-publish"(message) {
      const celsius = json(message);
      if (!Number.isFinite(celsius)) throw new Error(`${message.topic} is no temperature`);
      if (celsius <= above) return null;
      const { device } = pattern.match(message.topic);
      return post(url, { device, celsius, at: Number(message.receivedAt) });
    },
  };
}
