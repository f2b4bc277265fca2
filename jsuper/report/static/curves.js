// Curves along the axis of the columns: a panel for every row, or one for all rows.

const MOST_DOTS = 4000; // of one panel

function drawCurves() {
  const name = state.curve, rows = rowsOf();
  const panels = partsOf().flatMap((part) => state.together
    ? [{ part, rows, title: partName(part) || name }]
    : rows.map((row) => ({ part, rows: [row], title: [rowName(row), partName(part)].filter(Boolean).join(", ") })));
  const y = curveScale(name);
  const wide = panels.length <= 2;
  const box = document.getElementById("curves");
  box.className = wide ? "wide" : "";
  box.replaceChildren(...panels.map((panel) => {
    const picture = curvePanel(name, panel, y, wide);
    const title = make("h3", { textContent: `${panel.title} ` });
    title.append(saving(`${name}_${panel.title}`, { picture: () => picture, rows: () => curveRows(name, panel) }));
    return make("figure", {}, title, picture, ...(panel.rows.length > 1 ? [lineLegend(panel.rows)] : []));
  }));
  const interval = KINDS[state.kind].low ? "band: its 95 % interval" : "";
  document.getElementById("curves-note").textContent =
    [`${name} along ${across.name}`, ...selected()].join(", ") + `, evenly spaced: ${someOf(across.values)}. `
    + [`Line: the ${word()} ${ofSeeds}`, interval, hasSeeds && KINDS[state.kind].low ? "small dots: seeds" : ""].filter(Boolean).join("; ")
    + `. ${readsOf(name)}`
    + `${y.below || y.above ? " Values beyond the axis are drawn at its edge." : ""}`
    + (KINDS[state.kind].low && !hasInterval(name) ? " Too few seeds for an interval." : "");
}

const someOf = (values) => values.length <= 12 ? values.join(", ")
  : `${values.slice(0, 3).join(", ")}, …, ${values[values.length - 1]} (${values.length} values)`;
const cellsOf = (rows, part) => rows.flatMap((i) => columnsOf().map((j) => cellIndex(i, j, part)));
const hasInterval = (name) => partsOf().some((part) =>
  cellsOf(rowsOf(), part).some((cell) => Number.isFinite(lowOf(name, cell))));

// One y axis for all panels, over the whole sweep: medians, means and seeds, without outliers.
function curveScale(name) {
  const spread = !KINDS[state.kind].low;
  const { median, mean: means, spread: spreads } = aggregatesOf(name);
  const list = spread ? spreads : [...median, ...means, ...(hasSeeds ? valuesOf(name) : [])];
  const { low, high, log, below, above } = scale(list, null, false);
  const room = log ? 0 : (high - low) / 20;
  return { ...axisOf([low - room, high + room], log, false), below, above, log };
}

function curvePanel(name, { part, rows, title }, y, wide) {
  const size = wide ? { width: 620, height: 312 } : { width: 230, height: 177 };
  const [left, right, top, bottom] = [42, size.width - 8, 6, size.height - 32];
  const steps = across.values.length - 1, inset = Math.min(12, (right - left) / (4 * (steps + 1)));
  const x = (j) => (steps ? left + inset + ((right - left - 2 * inset) * j) / steps : (left + right) / 2);
  const up = (v) => bottom - (bottom - top) * Math.min(Math.max(y.of(v), 0), 1);
  const ticks = y.ticks.filter((_, k) => wide || k % 2 === 0).flatMap((v) => [
    svg("line", { x1: left, x2: right, y1: up(v), y2: up(v), stroke: "#8884", "stroke-width": 0.7 }),
    svgText(labelOf(v), { x: left - 4, y: up(v) + 3.5, "text-anchor": "end" })]);
  const longest = Math.max(...across.values.map((v) => String(v).length));
  const every = Math.ceil(((steps + 1) * (6 * longest + 8)) / (right - left));
  const below = columnsOf().filter((j) => j % every === 0).map((j) =>
    svgText(across.values[j], { x: x(j), y: bottom + 13, "text-anchor": "middle" }));
  const named = [svgText(across.name, { x: (left + right) / 2, y: bottom + 27, "text-anchor": "middle" })];
  const mark = markOf(name);
  const atMark = KINDS[state.kind].low && Number.isFinite(mark) && y.of(mark) >= 0 && y.of(mark) <= 1
    ? [svg("line", { x1: left, x2: right, y1: up(mark), y2: up(mark), stroke: "currentColor",
      "stroke-dasharray": "3 3", "stroke-width": 0.8 })] : [];
  const band = rows.length <= 8, ordered = typeof across.values[0] === "number" || steps === 0;
  const dots = rows.length * seeds.length * (steps + 1) <= MOST_DOTS && KINDS[state.kind].low;
  return svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img",
    "aria-label": `${name} of ${title} along ${across.name}` },
    ...ticks, ...below, ...named, frame(left, top, right - left, bottom - top), ...atMark,
    ...rows.flatMap((row, k) => curveOf(name, row, part, { x, up, colour: lineColour(k, rows.length), dots, band, ordered })));
}

const lineColour = (k, length) => length <= LINES.length ? LINES[k] : css(viridis((0.9 * k) / (length - 1)));

// The band, the dots of seeds and the line of one row.
function curveOf(name, row, part, { x, up, colour, dots, band: banded, ordered }) {
  const cells = columnsOf().map((j) => cellIndex(row, j, part));
  const points = (f) => cells.map((cell, j) => [x(j), up(f(name, cell))]).filter(([, v]) => Number.isFinite(v));
  const [lows, highs] = banded ? [points(lowOf), points(highOf)] : [[], []];
  const band = lows.length > 1 && ordered ? [svg("path", { d: `${pathOf([...lows, ...highs.reverse()])}Z`, fill: colour,
    "fill-opacity": 0.18, stroke: "none" })]
    : lows.map(([a, b], k) => svg("line", { x1: a, x2: a, y1: b, y2: highs[k][1], stroke: colour })); // names have no order
  const seedDots = dots ? cells.flatMap((cell, j) => Array.from(countedOf(name, cell)).filter(Number.isFinite)
    .map((v) => svg("circle", { cx: x(j), cy: up(v), r: 1.4, fill: colour, "fill-opacity": 0.55 }))) : [];
  const line = points(statistic), size = line.length > 20 ? 1.2 : 2.2;
  return [...band, ...seedDots,
    ...(ordered ? [svg("path", { d: pathOf(line), fill: "none", stroke: colour, "stroke-width": 1.6 })] : []),
    ...line.map(([a, b]) => svg("circle", { cx: a, cy: b, r: size, fill: colour }))];
}

// A key for each line; of many lines, for some of them.
function lineLegend(rows) {
  const legend = caption(""), every = rows.length > 30 ? Math.ceil(rows.length / 12) : 1;
  rows.forEach((row, k) => {
    if (k % every) return;
    legend.append(make("span", { className: "key" }, swatch(lineColour(k, rows.length)), rowName(row)), " ");
  });
  return legend;
}

function curveRows(name, { part, rows }) {
  const kinds = KINDS[state.kind].low ? [statistic, lowOf, highOf] : [statistic];
  return [[down.name, across.name, `${name}, ${word()}`, ...(kinds.length > 1 ? ["low", "high"] : [])],
    ...rows.flatMap((i) => columnsOf().map((j) =>
      [down.values[i], across.values[j], ...kinds.map((f) => f(name, cellIndex(i, j, part)))]))];
}
