// Pictures that every family of models may use: matrices, bars and lines against an axis.

// Adds a caption, a picture, buttons that save it, and a line for the number under the pointer.
function addPicture(figure, text, name, picture, rows) {
  const note = caption(`${text} `);
  note.append(saving(name, { picture: () => picture, rows }));
  figure.append(note, picture);
  if (picture.readAt) {
    const line = make("output", { className: "reading", textContent: "\u00a0" });
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect(), view = picture.viewBox.baseVal;
      line.textContent = picture.readAt(((event.clientX - box.left) / box.width) * view.width,
        ((event.clientY - box.top) / box.height) * view.height) || "\u00a0";
    });
    picture.addEventListener("pointerleave", () => { line.textContent = "\u00a0"; });
    figure.append(line);
  }
}

// A matrix as squares, red above 0 and blue below, with a value of `largest` at full colour.
function matrixImage(values, largest) {
  const canvas = make("canvas", { width: values[0].length, height: values.length });
  const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height);
  values.flat().forEach((v, k) =>
    image.data.set([...along(RED_BLUE, (v / largest + 1) / 2), Number.isFinite(v) ? 255 : 0], 4 * k));
  pen.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function imageAt(href, x, y, width, height) {
  return svg("image", { href, x, y, width, height, preserveAspectRatio: "none",
    style: "image-rendering: pixelated" });
}

const frame = (x, y, width, height) => svg("rect", { x, y, width, height, fill: "none",
  stroke: "currentColor", "stroke-width": 0.8 });

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

// Maps numbers to [0, 1], with ticks. Logarithmic if allowed and positive numbers span more than a
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
  let ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++)
    ticks.push(log ? 10 ** (k * step) : k * step);
  if (log && ticks.length < 3) ticks = ticksWithin(low, high);
  const back = (v) => (log ? 10 ** v : v);
  return { low: back(low), high: back(high), ticks, of: (v) => (f(v) - low) / (high - low) };
}

// 1, 2 and 5 times the powers of ten between two logarithms
function ticksWithin(low, high) {
  const ticks = [];
  for (let k = Math.floor(low); k <= high; k++)
    ticks.push(...[1, 2, 5].map((v) => v * 10 ** k).filter((v) => v >= 10 ** low && v <= 10 ** high));
  return ticks;
}

const FRAME = { left: 46, right: 322, top: 8, bottom: 164, width: 340, height: 198 };

// Lines against x in a frame with ticks. The y axis may be logarithmic; the x axis is logarithmic if
// the intervals between its values increase.
function plotOf(x, lines, { name, xlabel, mayBeLog }) {
  const { left, right, top, bottom, width, height } = FRAME;
  const gaps = x.slice(1).map((t, i) => t - x[i]);
  const xAxis = axisOf(x, Math.max(...gaps) > WIDE * gaps[0], false);
  const yAxis = axisOf(lines.flatMap((line) => line.values), mayBeLog, true);
  const over = (v) => left + (right - left) * xAxis.of(v);
  const up = (v) => bottom - (bottom - top) * yAxis.of(v);
  const rule = (at) => svg("line", { stroke: "#8884", "stroke-width": 0.7, ...at });
  const middle = { "text-anchor": "middle" };
  const range = ({ low, high }) => `from ${labelOf(low)} to ${labelOf(high)}`;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${name} ${range(yAxis)} against ${xlabel} ${range(xAxis)}` },
    ...xAxis.ticks.flatMap((v) => [rule({ x1: over(v), x2: over(v), y1: top, y2: bottom }),
      svgText(labelOf(v), { x: over(v), y: bottom + 13, ...middle })]),
    ...yAxis.ticks.flatMap((v) => [rule({ x1: left, x2: right, y1: up(v), y2: up(v) }),
      svgText(labelOf(v), { x: left - 4, y: up(v) + 3.5, "text-anchor": "end" })]),
    svg("rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "none",
      stroke: "#888" }),
    ...lines.map(({ values, colour, width: stroke }) => svg("path", {
      d: pathOf(values.map((v, i) => [over(x[i]), up(v)])),
      fill: "none", stroke: colour, "stroke-width": stroke, "stroke-linejoin": "round" })),
    svgText(xlabel, { x: (left + right) / 2, y: height - 4, ...middle }));
  picture.readAt = (px) => {
    if (px < left || px > right) return "";
    const k = x.reduce((best, v, i) =>
      Math.abs(over(v) - px) < Math.abs(over(x[best]) - px) ? i : best, 0);
    const at = lines.filter((line) => line.width > 1).map((line) => number(line.values[k], 4));
    return `${name} at ${number(x[k], 5)}: ${at.join(", ")}`;
  };
  return picture;
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
