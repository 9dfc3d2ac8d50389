// Icons drawn here, so that the page looks the same where no emoji font is installed.

import { svg } from "./dom.js";

const STROKES = {
  clip: ["M20 11.5 12 19.5a5 5 0 0 1-7-7l8.5-8.5a3.3 3.3 0 0 1 4.7 4.7L9.8 17a1.7 1.7 0 0 1-2.4-2.4L15 7"],
  send: ["M5 12h13", "m12 5 7 7-7 7"],
  reply: ["M5 5h14a1.5 1.5 0 0 1 1.5 1.5v8A1.5 1.5 0 0 1 19 16h-8l-4.5 4v-4H5a1.5 1.5 0 0 1-1.5-1.5v-8A1.5 1.5 0 0 1 5 5Z", "M8 9.5h8", "M8 12.5h5"],
  edit: ["m4 20 1-4L16.5 4.5a2.1 2.1 0 0 1 3 3L8 19Z", "m14.5 6.5 3 3"],
  trash: ["M5 7h14", "M9 7V4.5h6V7", "m6.5 7 1 13h9l1-13", "M10 11v5", "M14 11v5"],
  close: ["m6 6 12 12", "M18 6 6 18"],
  menu: ["M4 7h16", "M4 12h16", "M4 17h16"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Z", "M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z"],
  file: ["M6 3.5h8l4.5 4.5v12.5H6Z", "M14 3.5V8h4.5"],
  up: ["M7 11v9H4v-9Z", "M7 11l4.2-7.5c1.5 0 2.3 1 2.1 2.4L12.8 9.5H18a2 2 0 0 1 2 2.3l-1.1 6.4A2 2 0 0 1 17 20H7"],
  down: ["M17 13V4h3v9Z", "m17 13-4.2 7.5c-1.5 0-2.3-1-2.1-2.4l.5-3.6H6a2 2 0 0 1-2-2.3l1.1-6.4A2 2 0 0 1 7 4h10"],
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, STROKES[name].map((d) => svg("path", { d })));
}

const shape = (tag, attributes) => svg(tag, attributes);
const EMOJI = {
  eyes: () => [
    shape("ellipse", { cx: 7, cy: 12, rx: 5, ry: 7.5, fill: "#fff", stroke: "#7b8a8e" }), shape("ellipse", { cx: 17, cy: 12, rx: 5, ry: 7.5, fill: "#fff", stroke: "#7b8a8e" }),
    shape("circle", { cx: 5.6, cy: 13.5, r: 2.6, fill: "#26343a" }), shape("circle", { cx: 15.6, cy: 13.5, r: 2.6, fill: "#26343a" }),
  ],
  white_check_mark: () => [shape("rect", { x: 2, y: 2, width: 20, height: 20, rx: 5, fill: "#16a34a" }), shape("path", { d: "m7 12.5 3.5 3.5L17 8.5", stroke: "#fff", "stroke-width": 3, fill: "none" })],
  x: () => [shape("path", { d: "m5 5 14 14M19 5 5 19", stroke: "#dc2626", "stroke-width": 4.5, fill: "none" })],
  "+1": () => [...STROKES.up].map((d) => shape("path", { d, fill: "#fbbf24", stroke: "#b45309" })),
  "-1": () => [...STROKES.down].map((d) => shape("path", { d, fill: "#fbbf24", stroke: "#b45309" })),
  warning: () => [shape("path", { d: "M12 3 22 21H2Z", fill: "#facc15", stroke: "#a16207" }), shape("path", { d: "M12 10v5M12 17.6v.6", stroke: "#422006", "stroke-width": 2.2 })],
};
EMOJI.thumbsup = EMOJI["+1"];
EMOJI.thumbsdown = EMOJI["-1"];

// The drawn emoji, or null for one that only the system's font has.
export function drawnEmoji(name) {
  const draw = EMOJI[name];
  return draw ? svg("svg", { viewBox: "0 0 24 24", class: "drawn-emoji", role: "img", "aria-label": name }, draw()) : null;
}
