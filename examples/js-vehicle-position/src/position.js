// Sends the positions of moving vehicles, with other names.
//
// Vehicles publish {"lat": 52.52, "lon": 13.405, "speed": 12.5} on topics such as fleet/k7/position, with the speed in m/s.
// The module ignores vehicles slower than a limit. It sends the others to a URL as
// {"vehicleId": "k7", "position": [13.405, 52.52], "kmh": 45, "reportedAt": "2026-09-21T14:13:21.000Z"}.
import { Pattern, Refused, json, post, time } from "./hookhost.js";

/** Creates the module for `[config]` in `vehicle-position.toml`. */
export function vehiclePosition(config) {
  const { url, topic, slowest_kmh: slowest, ...unknown } = config;
  const problems = Object.keys(unknown).map((key) => ({ key, text: "is not known" }));
  if (typeof url !== "string") problems.push({ key: "url", text: "a URL was expected" });
  if (typeof slowest !== "number") problems.push({ key: "slowest_kmh", text: "a number was expected" });
  const pattern = new Pattern(String(topic));
  if (!pattern.names.includes("vehicle")) {
    problems.push({ key: "topic", text: "one level must be '{vehicle}'" });
  }
  if (problems.length > 0) throw new Refused(problems);

  return {
    interests: [{ hook: "message-publish", filters: [pattern.filter] }],

    "message-publish"(message) {
      const { lat, lon, speed } = json(message);
      for (const number of [lat, lon, speed]) {
        if (typeof number !== "number") throw new Error("lat, lon and speed must be numbers");
      }
      const kmh = Math.round(speed * 36) / 10;
      if (kmh < slowest) return null;
      return post(url, {
        vehicleId: pattern.match(message.topic).vehicle,
        position: [lon, lat],
        kmh,
        reportedAt: time(message.receivedAt),
      });
    },
  };
}
