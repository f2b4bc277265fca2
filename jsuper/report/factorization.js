"use strict";
// Pictures of one factorization: its loss, and its alignment with every component, against time.

function drawModel(place, { time, loss_curve: loss, alignment }) {
  const several = alignment[0].length > 1;
  place.append(caption("Loss against time"));
  place.append(plotOf(time, [{ values: loss, colour: "#0072B2", width: 1.6 }], "loss", true));
  place.append(caption("Alignment with each component of the target against time" +
    (several ? ": sum over pairs, with each pair thin" : "")));
  const colours = coloursOf(alignment.length);
  const thin = alignment.flatMap((pairs, r) =>
    several ? pairs.map((values) => ({ values, colour: colours[r], width: 0.6 })) : []);
  const thick = alignment.map((pairs, r) => ({
    values: time.map((_, i) => pairs.reduce((sum, pair) => sum + pair[i], 0)),
    colour: colours[r], width: 1.8,
  }));
  place.append(plotOf(time, [...thin, ...thick], "alignment", false));
  place.append(legendOf(colours));
}

// The colours of jsuper.plots; viridis for more components.
const COLOURS = ["#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
  "#882255", "#332288"];

function coloursOf(count) {
  if (count <= COLOURS.length) return COLOURS.slice(0, count);
  return Array.from({ length: count }, (_, r) => `rgb(${viridis((0.85 * r) / (count - 1))})`);
}

// A legend of the components.
function legendOf(colours) {
  const element = caption("component ");
  colours.forEach((colour, r) => {
    const stroke = document.createElement("span");
    stroke.textContent = "━━";
    stroke.style.color = colour;
    element.append(stroke, ` ${r}  `);
  });
  return element;
}

const FRAME = { left: 46, right: 322, top: 8, bottom: 164, width: 340, height: 198 };

// Lines against time in a frame with ticks. The y axis may be logarithmic; the time axis is
// logarithmic if the intervals between records increase.
function plotOf(time, lines, name, mayBeLog) {
  const { left, right, top, bottom, width, height } = FRAME;
  const gaps = time.slice(1).map((t, i) => t - time[i]);
  const x = axisOf(time, Math.max(...gaps) > WIDE * gaps[0], false);
  const y = axisOf(lines.flatMap((line) => line.values), mayBeLog, true);
  const across = (v) => left + (right - left) * x.of(v);
  const up = (v) => bottom - (bottom - top) * y.of(v);
  const text = (content, at) => svg("text", { "font-size": 10, fill: "#333", ...at }, content);
  const rule = (at) => svg("line", { stroke: "#ddd", "stroke-width": 0.7, ...at });
  const middle = { "text-anchor": "middle" };
  const range = ({ low, high }) => `from ${labelOf(low)} to ${labelOf(high)}`;
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${name} ${range(y)} against time ${range(x)}` },
    ...x.ticks.flatMap((v) => [rule({ x1: across(v), x2: across(v), y1: top, y2: bottom }),
      text(labelOf(v), { x: across(v), y: bottom + 13, ...middle })]),
    ...y.ticks.flatMap((v) => [rule({ x1: left, x2: right, y1: up(v), y2: up(v) }),
      text(labelOf(v), { x: left - 4, y: up(v) + 3.5, "text-anchor": "end" })]),
    svg("rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "none",
      stroke: "#888" }),
    ...lines.map(({ values, colour, width: stroke }) => svg("path", {
      d: pathOf(values.map((v, i) => [across(time[i]), up(v)])),
      fill: "none", stroke: colour, "stroke-width": stroke, "stroke-linejoin": "round" })),
    text("time, steps × learning rate", { x: (left + right) / 2, y: height - 4, ...middle }));
}

// A line through points, with gaps where a logarithm is undefined.
function pathOf(points) {
  let pen = "M", d = "";
  for (const [a, b] of points) {
    const known = Number.isFinite(a) && Number.isFinite(b);
    if (known) d += `${pen}${a.toFixed(1)} ${b.toFixed(1)}`;
    pen = known ? "L" : "M";
  }
  return d;
}

// Map numbers to [0, 1], with ticks. Logarithmic if allowed and positive numbers span more than a
// factor of 30; `roomy` leaves a twentieth above and below.
function axisOf(values, mayBeLog, roomy) {
  const above = values.filter((v) => v > 0);
  const extent = (list) => list.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)],
    [Infinity, -Infinity]);
  const log = mayBeLog && above.length > 0 && extent(above)[1] > WIDE * extent(above)[0];
  const f = log ? Math.log10 : (v) => v;
  let [low, high] = extent(log ? above : values).map(f);
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1), low + (Math.abs(low) || 1)];
  const room = roomy ? (high - low) / 20 : 0;
  [low, high] = [low - room, high + room];
  const step = log ? Math.max(1, niceStep((high - low) / 6)) : niceStep((high - low) / 6);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++)
    ticks.push(log ? 10 ** (k * step) : k * step);
  const back = (v) => (log ? 10 ** v : v);
  return { low: back(low), high: back(high), ticks, of: (v) => (f(v) - low) / (high - low) };
}

// The smallest of 1, 2 or 5 times a power of ten that is at least a number.
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= least * (1 - 1e-9));
}

// A short text for the number of a tick.
function labelOf(v) {
  const size = Math.abs(v);
  if (v !== 0 && (size < 1e-3 || size >= 1e5))
    return Number(v.toPrecision(2)).toExponential().replace("e+", "e");
  return String(Number(v.toPrecision(3)));
}
