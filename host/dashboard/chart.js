// Small charts of the last minutes.

import { svg } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 50;

/** A line over its area, from the oldest value to the newest; `label` says what it shows. */
export function chart(values, label) {
  const most = Math.max(1e-9, ...values);
  const step = WIDTH / Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`);
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  if (points.length > 1) {
    picture.append(
      svg("path", { class: "area", d: `M0,${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z` }),
      svg("path", { d: `M${points.join("L")}` }));
  }
  return picture;
}
