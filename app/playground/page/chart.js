// Line, bar, area and pie charts as SVG.

import { h, svg } from "./dom.js";

const WIDTH = 460;
const HEIGHT = 180;
const LEFT = 44;
const BOTTOM = 24;

export function chart(body) {
  return h("div", {}, body.type === "pie" ? pie(body.segments) : axes(body), legend(body));
}

function legend(body) {
  const names = body.type === "pie" ? body.segments.map((segment) => `${segment.label} (${segment.value})`) : body.series.map((series) => series.name);
  return h("ul", { class: "legend" }, names.map((name, index) => h("li", { class: `series-${index}` }, name)));
}

function pie(segments) {
  const total = segments.reduce((sum, segment) => sum + segment.value, 0) || 1;
  let angle = -Math.PI / 2;
  const slices = segments.map((segment, index) => {
    const share = segment.value / total;
    const from = [90 + 80 * Math.cos(angle), 90 + 80 * Math.sin(angle)];
    angle += share * 2 * Math.PI;
    const to = [90 + 80 * Math.cos(angle), 90 + 80 * Math.sin(angle)];
    if (share > 0.999) return svg("circle", { cx: 90, cy: 90, r: 80, class: `fill-${index}` });
    return svg("path", { d: `M90 90L${from}A80 80 0 ${share > 0.5 ? 1 : 0} 1 ${to}Z`, class: `fill-${index}` });
  });
  return svg("svg", { viewBox: "0 0 180 180", class: "pie", role: "img" }, slices);
}

function axes(body) {
  const categories = body.axis_config.categories;
  const values = body.series.flatMap((series) => series.data.map((point) => point.value));
  const top = Math.max(...values, 0) * 1.08 || 1;
  const low = Math.min(...values, 0);
  const x = (index) => LEFT + ((index + 0.5) * (WIDTH - LEFT)) / categories.length;
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (top - low)) * (HEIGHT - BOTTOM - 10);
  const drawn = body.series.map((series, index) => plot(body, series, index, categories, x, y));
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, grid(low, top, y), labels(categories, x), drawn.flat());
}

function plot(body, series, index, categories, x, y) {
  const points = series.data.map((point) => [x(categories.indexOf(point.label)), y(point.value)]);
  if (body.type === "bar") {
    const slot = ((WIDTH - LEFT) / categories.length) * 0.7;
    const wide = slot / body.series.length;
    return points.map(([px, py]) => svg("rect", { x: px - slot / 2 + index * wide, y: py, width: Math.max(wide - 1, 1), height: Math.max(y(0) - py, 0), rx: 2, class: `fill-${index}` }));
  }
  const line = svg("polyline", { points: points.map((p) => p.join()).join(" "), class: `line stroke-${index}` });
  if (body.type === "line") return [line];
  const floor = HEIGHT - BOTTOM;
  return [svg("polygon", { points: [[points[0][0], floor], ...points, [points.at(-1)[0], floor]].map((p) => p.join()).join(" "), class: `area fill-${index}` }), line];
}

function grid(low, top, y) {
  return [0, 0.5, 1].flatMap((part) => {
    const value = low + (top - low) * part;
    const label = svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" });
    label.textContent = Math.abs(value) >= 1000 ? `${(value / 1000).toFixed(1)}k` : String(Number(value.toPrecision(3)));
    return [svg("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: "grid" }), label];
  });
}

function labels(categories, x) {
  const step = Math.ceil(categories.length / 8);
  return categories.map((name, index) => {
    const label = svg("text", { x: x(index), y: HEIGHT - 6, "text-anchor": "middle" });
    label.textContent = index % step ? "" : name;
    return label;
  });
}
