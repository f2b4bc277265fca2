"use strict";
// Draws the page from the embedded data. The family's script, which comes before this one, defines
// drawModel(element, arrays): it draws one model into an empty element. It may use the functions
// below and must not redefine them.
// All text is set through textContent, so text from users is never parsed as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const decoded = (text, Kind) =>
  new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const axes = data.axes;
const seedAxis = axes[axes.length - 1];
const dims = axes.slice(0, -1);
const seeds = seedAxis.values;
const status = decoded(data.status, Int8Array);
const failed = decoded(data.failed, Int8Array); // 0, or 1 + the index of a reason
const values = {};
for (const name in data.values) values[name] = decoded(data.values[name], Float32Array);
const chosen = decoded(data.chosen, Int32Array);
const pictures = {};
for (const [name, { shape, values: text }] of Object.entries(data.pictures))
  pictures[name] = { shape, values: decoded(text, Float32Array) };
const shown = data.shown;
const STATUS = ["missing", "ok", "diverged", "failed"];
const OK = 1;
const WIDE = 30; // ratio of largest to smallest above which a scale is logarithmic

// Selected: a position on every axis that is neither rows nor columns, median or spread, and the
// variable of the curves.
const state = { at: dims.map(() => 0), spread: false, curve: shown[0] };
let down, across, further; // the axes of rows and columns, and the others

function orient(rows, columns) {
  [down, across] = [dims[rows], dims[columns]];
  further = dims.filter((axis) => axis !== down && axis !== across);
}

// The family's two main axes, unless one has a single value and another axis has several.
function orientFirst() {
  const several = dims.map((_, k) => k).filter((k) => dims[k].values.length > 1);
  let [rows, columns] = [dims.length - 2, dims.length - 1];
  const spare = several.filter((k) => k !== rows && k !== columns);
  if (dims[columns].values.length < 2 && spare.length) columns = spare.pop();
  if (dims[rows].values.length < 2 && spare.length) rows = spare.pop();
  orient(rows, columns);
}
orientFirst();

// ---- small helpers ----

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [k, v] of Object.entries(properties))
    k in element ? (element[k] = v) : element.setAttribute(k, v);
  element.append(...children);
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) element.setAttribute(k, v);
  element.append(...children);
  return element;
}

function number(v, digits = 3) {
  if (!Number.isFinite(v)) return "–";
  const size = Math.abs(v);
  if (v !== 0 && (size < 1e-3 || size >= 1e4))
    return v.toExponential(digits - 1).replace("e+", "e");
  return size >= 100 && digits < 4 ? v.toFixed(0) : String(Number(v.toPrecision(digits)));
}

// NumPy's linear quantile of ascending numbers.
function quantile(sorted, q) {
  if (!sorted.length) return NaN;
  const place = q * (sorted.length - 1), low = Math.floor(place);
  return sorted[low] + (place - low) * (sorted[Math.ceil(place)] - sorted[low]);
}

const finite = (list) => Array.from(list).filter(Number.isFinite);
const ascending = (list) => finite(list).sort((a, b) => a - b);
const median = (list) => quantile(ascending(list), 0.5);

function spread(list) {
  const sorted = ascending(list);
  return sorted.length < 2 ? NaN : quantile(sorted, 0.75) - quantile(sorted, 0.25);
}

const position = (axis, row, column) =>
  axis === down ? row : axis === across ? column : state.at[dims.indexOf(axis)];
const cellIndex = (row, column) => dims.reduce(
  (index, axis) => index * axis.values.length + position(axis, row, column), 0);
const seedsOf = (array, cell) => array.subarray(cell * seeds.length, (cell + 1) * seeds.length);
// Failed fits count only in variables that measure the quality of a fit.
const countedOf = (name, cell) => data.quality.includes(name) ? seedsOf(values[name], cell)
  : seedsOf(values[name], cell).map((v, s) => (seedsOf(failed, cell)[s] ? NaN : v));
const statistic = (name, cell) => (state.spread ? spread : median)(countedOf(name, cell));
const failedFits = (cell) => Array.from(seedsOf(failed, cell)).filter(Boolean).length;
const mostlyFailed = (cell) => // the median may be a failed fit
  failedFits(cell) > 0 && 2 * failedFits(cell) >= seeds.length - leftOut(cell);
const leftOut = (cell) => Array.from(seedsOf(status, cell)).filter((s) => s !== OK).length;
const unvalued = (name, cell) => seeds.length - finite(seedsOf(values[name], cell)).length;
const eachCell = (f) =>
  down.values.map((_, row) => across.values.map((_, column) => f(cellIndex(row, column))));
const word = () => (state.spread ? "interquartile range" : "median");
const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const ofSeeds = `over ${status.every((s) => s === OK) ? "" : "up to "}${counted(seeds.length, "seed")}`;
const selected = () =>
  further.map((axis) => `${axis.name} ${axis.values[position(axis)]}`);
const place = (row, column) =>
  [...selected(), `${down.name} ${down.values[row]}`, `${across.name} ${across.values[column]}`]
    .join(", ");

// ---- what the pictures of every family of models use ----

function caption(text) {
  const element = document.createElement("figcaption");
  element.textContent = text;
  return element;
}

function canvasOf(width, height, name) {
  const canvas = document.createElement("canvas"), sharp = 2;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  canvas.style.width = `${width}px`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", name);
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  return [canvas, pen];
}

// Matplotlib's RdBu, reversed, at five points.
const RED_BLUE = [[5, 48, 97], [103, 169, 207], [247, 247, 247], [239, 138, 98], [103, 0, 31]];

function redBlue(v) {
  const x = (Math.min(Math.max(v, -1), 1) + 1) * 2, i = Math.min(Math.floor(x), 3);
  return `rgb(${RED_BLUE[i].map((c, k) => Math.round(c + (x - i) * (RED_BLUE[i + 1][k] - c)))})`;
}

// ---- colours: viridis, readable with colour blindness and in print ----

const VIRIDIS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30",
  "fde725"].map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

function viridis(t) {
  const x = Math.min(Math.max(t, 0), 1) * (VIRIDIS.length - 1), i = Math.min(Math.floor(x), 7);
  return VIRIDIS[i].map((c, k) => Math.round(c + (x - i) * (VIRIDIS[i + 1][k] - c)));
}

// Map numbers to [0, 1]: logarithmically if all are positive and span more than a factor of 30.
// Outliers do not stretch the scale: it ends at 30 times above and below the median if logarithmic,
// and 3 interquartile ranges beyond the quartiles otherwise.
function scale(list) {
  const sorted = ascending(list);
  if (!sorted.length) return { low: NaN, high: NaN, log: false, below: "", above: "", of: () => 0 };
  const [least, most] = [sorted[0], sorted[sorted.length - 1]];
  const log = least > 0 && most / least > WIDE;
  const [first, middle, third] = [0.25, 0.5, 0.75].map((q) => quantile(sorted, q));
  const far = 3 * (third - first) || Infinity;
  const low = Math.max(least, log ? middle / WIDE : first - far);
  const high = Math.min(most, log ? middle * WIDE : third + far);
  const f = log ? Math.log : (v) => v;
  const width = f(high) - f(low) || 1;
  const [below, above] = [least < low ? "≤ " : "", most > high ? "≥ " : ""];
  return { low, high, log, below, above, of: (v) => (f(v) - f(low)) / width };
}

// ---- heatmaps ----

function heatmap(name) {
  const cells = eachCell((cell) => statistic(name, cell));
  const hatched = eachCell(mostlyFailed), notFits = eachCell(failedFits);
  const fits = cells.flat().filter((_, k) => !hatched.flat()[k]);
  const { low, high, log, below, above, of } = scale(finite(fits).length ? fits : cells.flat());
  const lacking = eachCell(leftOut);
  const sum = (list) => list.flat().reduce((a, b) => a + b, 0);
  const left = sum(lacking), total = cells.flat().length * seeds.length;
  const unknown = sum(eachCell((cell) => unvalued(name, cell))) - left;
  const body = cells.map((row, i) => make("tr", {},
    make("th", { scope: "row", textContent: down.values[i] }),
    ...row.map((v, j) => {
      const known = Number.isFinite(v) && !hatched[i][j], colour = known ? viridis(of(v)) : [221, 221, 221];
      const dark = colour[0] * 0.3 + colour[1] * 0.59 + colour[2] * 0.11 < 140;
      const button = make("button", {
        textContent: number(v, 2),
        title: `${place(i, j)}: ${number(v, 5)}${hover(name, cellIndex(i, j))}`,
        className: [lacking[i][j] ? "lacking" : "", hatched[i][j] ? "failed" : ""].join(" ").trim(),
        onclick: () => openCell(i, j),
        tabIndex: i || j ? -1 : 0, // one stop for the whole map; arrow keys move within it
      });
      if (!hatched[i][j]) button.style.background = `rgb(${colour})`;
      button.style.color = dark ? "#fff" : "#000";
      return make("td", {}, button);
    })));
  const head = make("tr", {}, make("th", { textContent: `${down.name} \\ ${across.name}` }),
    ...across.values.map((v) => make("th", { scope: "col", textContent: v })));
  const bar = make("i");
  bar.style.background = `linear-gradient(to right, ${VIRIDIS.map((c) => `rgb(${c})`)})`;
  return make("figure", {},
    make("h3", { textContent: [`${name}: ${word()} ${ofSeeds}`, ...selected()].join(", ") }),
    make("figcaption", { textContent: `${data.descriptions[name]}. ` + (left
      ? `${left.toLocaleString("en")} of ${counted(total, "model")} left out.`
      : `All ${counted(total, "model")}.`)
      + (sum(notFits) ? ` ${counted(sum(notFits), "failed fit")}`
        + `${data.quality.includes(name) ? "" : " left out of the medians"}; hatched: half of the cell or more.` : "")
      + (unknown ? ` Undefined for ${counted(unknown, "model")}.` : "") }),
    make("div", { className: "scroll" },
      make("table", { className: "heatmap", onkeydown: moveFocus },
        make("thead", {}, head), make("tbody", {}, ...body))),
    make("div", { className: "scale" }, below + number(low), bar, above + number(high),
      make("span", { textContent: log ? "logarithmic" : "" })));
}

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function moveFocus(event) {
  const step = ARROWS[event.key], button = event.target.closest("td button");
  if (!step || !button) return;
  event.preventDefault();
  const row = button.closest("tr"), rows = Array.from(row.parentNode.children);
  const column = Array.from(row.children).indexOf(button.parentNode) + step[1];
  const next = rows[rows.indexOf(row) + step[0]]?.children[column]?.querySelector("button");
  if (!next) return;
  [button.tabIndex, next.tabIndex] = [-1, 0];
  next.focus();
}

// Describes a cell's failed fits, even if they are left out.
function hover(name, cell) {
  const own = seedsOf(values[name], cell).filter((_, s) => seedsOf(failed, cell)[s]);
  return own.length ? `; ${counted(own.length, "failed fit")} of ${counted(seeds.length, "seed")}`
    + `, median ${number(median(own), 5)}` : "";
}

// ---- curves: one panel per value of the first axis, all on the same scales ----

// A number needs the name of its axis.
const titleOf = (row) => {
  const value = down.values[row];
  return typeof value === "number" ? `${down.name} ${value}` : value;
};

function drawCurves() {
  const name = state.curve, list = eachCell((cell) => countedOf(name, cell));
  const every = finite(list.flat().flatMap((a) => Array.from(a)));
  const { low, high, log, below, above, of } = scale(every);
  const steps = across.values.length - 1;
  const x = (j) => 4 + (steps ? (112 * j) / steps : 56);
  const y = (v) => 68 - 62 * Math.min(Math.max(of(v), 0), 1);
  const text = (content, at) => svg("text", { "font-size": 6, class: "tick", ...at }, content);
  const ends = () => [
    text(number(low), { x: 2.5, y: 70 }), text(number(high), { x: 2.5, y: 8.5 }),
    text(across.values[0], { x: 0.5, y: 79 }),
    text(across.values[steps], { x: 119.5, y: 79, "text-anchor": "end" }),
  ];
  const path = (points) => points
    .map((v, j) => [v, j]).filter(([v]) => Number.isFinite(v))
    .map(([v, j], k) => `${k ? "L" : "M"}${x(j).toFixed(1)} ${y(v).toFixed(1)}`).join("");
  const panel = (row, i) => {
    const line = row.map(median);
    const faint = seeds.map((_, s) => path(row.map((a) => a[s]))).join("");
    const dots = line.map((v, j) => Number.isFinite(v)
      ? [svg("circle", { cx: x(j), cy: y(v), r: 1.5, fill: "#0072B2" })] : []).flat();
    return make("figure", {}, make("h3", { textContent: titleOf(i) }),
      svg("svg", { viewBox: "0 0 120 81", role: "img",
        "aria-label": `${name} of ${titleOf(i)} along ${across.name}` },
        svg("rect", { x: 0.5, y: 2.5, width: 119, height: 69, fill: "none", stroke: "#bbb" }),
        svg("path", { d: faint, fill: "none", stroke: "#56B4E9", "stroke-width": 0.5 }),
        svg("path", { d: path(line), fill: "none", stroke: "#0072B2", "stroke-width": 1.4 }),
        ...dots, ...ends()));
  };
  document.getElementById("curves").replaceChildren(...list.map(panel));
  document.getElementById("curves-note").textContent =
    [`${name} along ${across.name}`, ...selected()].join(", ") +
    `, evenly spaced: ${across.values.join(", ")}. The median ${ofSeeds}, each seed faint. ` +
    `The y axis goes from ${number(low)} to ${number(high)}${log ? ", logarithmic" : ""}` +
    `${below || above ? "; values beyond it are drawn at its edge" : ""}.`;
}

// ---- the table ----

const sorting = { column: null, up: true };
const table = { rows: [] }; // as it is shown, with its head

const quoted = (v) => (/[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v));

function download(name, text, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

document.getElementById("csv").onclick = () =>
  download("table.csv", table.rows.map((row) => row.map(quoted).join(",") + "\n").join(""), "text/csv");
document.getElementById("filter").oninput = () => drawTable();

function drawTable() {
  const rows = eachCell((cell) => cell).flatMap((row, i) => row.map((cell, j) => ({
    i, j, cells: [down.values[i], across.values[j],
      ...shown.map((name) => statistic(name, cell)),
      leftOut(cell), ...(data.reasons.length ? [failedFits(cell)] : [])],
  })));
  const names = [down.name, across.name, ...shown, "left out",
    ...(data.reasons.length ? ["failed fits"] : [])];
  if (sorting.column !== null) rows.sort(compare);
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = rows.filter(({ cells }) => words.every((w) =>
    `${cells[0]} ${cells[1]}`.toLowerCase().includes(w)));
  table.rows = [names, ...kept.map(({ cells }) => cells)];
  const head = names.map((name, k) => make("th", {
    scope: "col",
    "aria-sort": sorting.column !== k ? "none" : sorting.up ? "ascending" : "descending",
  }, make("button", {
    textContent: name + (sorting.column !== k ? "" : sorting.up ? " ▲" : " ▼"),
    onclick: () => {
      Object.assign(sorting, { up: sorting.column === k ? !sorting.up : true, column: k });
      drawTable();
      document.querySelectorAll("#table thead button")[k].focus();
    },
  })));
  const body = kept.map(({ i, j, cells }) => make("tr", { onclick: () => openCell(i, j) },
    make("th", { scope: "row", textContent: cells[0] }), make("td", { textContent: cells[1] }),
    ...cells.slice(2).map((v) => make("td", { textContent: number(v) }))));
  document.getElementById("table").replaceChildren(
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  document.getElementById("table-note").textContent =
    [`The ${word()} ${ofSeeds}`, ...selected()].join(", ") +
    ". Click a column name to sort, or a row to see its models.";
}

// Numbers by size, text in the order of the grid; missing values always come last.
function compare(first, second) {
  const k = sorting.column, sign = sorting.up ? 1 : -1;
  if (k < 2) return sign * (k ? first.j - second.j : first.i - second.i);
  const a = first.cells[k], b = second.cells[k];
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.isFinite(b) - Number.isFinite(a);
  return sign * (a - b);
}

// ---- one cell: pictures of three of its models, the values of all ----

function openCell(row, column) {
  const cell = cellIndex(row, column);
  const dialog = document.getElementById("cell");
  document.getElementById("cell-title").textContent = place(row, column);
  const best = chosen[3 * cell];
  const body = document.getElementById("cell-body");
  const code = snippet(row, column, Math.max(best, 0));
  body.replaceChildren(neighbours(row, column), models(cell), seedTable(cell),
    make("p", { className: "note", textContent: "This cell in Python: " }, copying(code)),
    make("pre", { textContent: code }));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, "", `#${[down, across, ...further].map((axis) =>
    encodeURIComponent(axis.values[position(axis, row, column)])).join("/")}`);
}

// Buttons that lead to the cells before and after this one, row by row.
function neighbours(row, column) {
  const width = across.values.length, here = row * width + column;
  const button = (label, at) => make("button", {
    type: "button", textContent: label, disabled: at < 0 || at >= down.values.length * width,
    onclick: () => openCell(Math.floor(at / width), at % width),
  });
  return make("p", { className: "steps" }, button("previous", here - 1), button("next", here + 1));
}

function copying(code) {
  const button = make("button", { type: "button", textContent: "copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(code);
    } catch { // not allowed for files
      const area = make("textarea", { value: code });
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
  } });
  return button;
}

// Opens the cell that a link such as #relu/0.9 names: a value of the rows, of the columns, and
// possibly of each further axis.
function openLinked() {
  const given = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (given.length < 2) return;
  const at = [down, across, ...further].map((axis, k) =>
    k < given.length ? axis.values.findIndex((v) => String(v) === given[k]) : position(axis));
  if (at.includes(-1)) return;
  further.forEach((axis, k) => { state.at[dims.indexOf(axis)] = at[k + 2]; });
  showControls();
  draw();
  openCell(at[0], at[1]);
}

// A click outside the dialog closes it, like Escape.
document.getElementById("cell").onclick = ({ target }) => {
  if (target.id === "cell") target.close();
};
document.getElementById("cell").onclose = () =>
  history.replaceState(null, "", location.pathname + location.search);

function models(cell) {
  if (data.without_pictures)
    return make("p", { className: "note", textContent:
      `This page contains no pictures of models: ${data.without_pictures}.` });
  if (chosen[3 * cell] < 0)
    return make("p", { className: "bad", textContent: "All models of this cell are left out." });
  const seen = new Map(); // a cell with one seed has one picture with three names
  ["best", "median", "worst"].forEach((name, k) => {
    const seed = chosen[3 * cell + k];
    if (!seen.has(seed)) seen.set(seed, { names: [], index: 3 * cell + k });
    seen.get(seed).names.push(name);
  });
  return make("div", { className: "models" }, ...Array.from(seen, ([seed, { names, index }]) => {
    const figure = make("figure", {}, make("h3", { textContent:
      `${names.join(", ")}: seed ${seeds[seed]}, ` +
      `${data.rank} ${number(seedsOf(values[data.rank], cell)[seed], 4)}` }));
    drawModel(figure, arraysOf(index));
    return figure;
  }));
}

// The arrays of one model, without the NaN padding of smaller models.
function arraysOf(index) {
  return Object.fromEntries(Object.entries(pictures).map(([name, { shape, values: all }]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const own = all.subarray(index * size, (index + 1) * size);
    const nested = shape.slice(1).reduceRight((list, n) => grouped(list, n), Array.from(own));
    return [name, trimmed(nested)];
  }));
}

const grouped = (list, n) =>
  Array.from({ length: list.length / n }, (_, i) => list.slice(i * n, (i + 1) * n));

function trimmed(list) {
  const inner = list.map((v) => (Array.isArray(v) ? trimmed(v) : v));
  return inner.filter((v) => (Array.isArray(v) ? v.length : Number.isFinite(v)));
}

const outcome = (cell, s) =>
  [STATUS[seedsOf(status, cell)[s]], data.reasons[seedsOf(failed, cell)[s] - 1]]
    .filter(Boolean).join(", ");

function seedTable(cell) {
  const head = ["seed", ...shown, "status"].map((name) => make("th", { textContent: name }));
  const rows = seeds.map((seed, s) => make("tr", {},
    make("td", { textContent: seed }),
    ...shown.map((name) => make("td", { textContent: number(seedsOf(values[name], cell)[s], 4) })),
    make("td", { textContent: outcome(cell, s) })));
  return make("div", { className: "seeds" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
}

function snippet(row, column, seed) {
  const at = [...dims.map((axis) => [axis, position(axis, row, column)]), [seedAxis, seed]];
  const python = (v) => (typeof v === "boolean" ? (v ? "True" : "False") : JSON.stringify(v));
  const point = at.map(([axis, i]) => `${axis.name}=${python(axis.values[i])}`);
  return `import jsuper\n\nds = jsuper.analyze(jsuper.load(${JSON.stringify(data.path)}))\n` +
    `model = ds.sel(${point.join(", ")})`;
}

// ---- controls ----

function choice(label, names, onpick) {
  const select = make("select", { onchange: () => onpick(select.selectedIndex) },
    ...names.map((name) => make("option", { textContent: name })));
  return make("label", {}, `${label} `, select);
}

function draw() {
  document.getElementById("heatmaps").replaceChildren(...data.headlines.map(heatmap));
  drawCurves();
  drawTable();
}

// Selects of the axes of rows and columns, where there is a choice, and of all others' positions.
function showControls() {
  const pick = (label, current, turn) => {
    const select = choice(label, dims.map((axis) => axis.name), (k) => {
      turn(k);
      showControls();
      draw();
    });
    select.querySelector("select").selectedIndex = dims.indexOf(current);
    return select;
  };
  const [rows, columns] = [dims.indexOf(down), dims.indexOf(across)];
  const placeOf = (axis) => {
    const k = dims.indexOf(axis);
    const select = choice(axis.name, axis.values, (value) => {
      state.at[k] = value;
      draw();
    });
    select.querySelector("select").selectedIndex = state.at[k];
    return select;
  };
  const summary = choice("show", ["median", "spread over seeds"], (k) => {
    state.spread = k === 1;
    draw();
  });
  summary.querySelector("select").selectedIndex = Number(state.spread);
  const curves = choice("curves of", shown, (k) => {
    state.curve = shown[k];
    drawCurves();
  });
  curves.querySelector("select").selectedIndex = shown.indexOf(state.curve);
  document.getElementById("controls").replaceChildren(
    pick("rows", down, (k) => orient(k, k === columns ? rows : columns)),
    pick("columns", across, (k) => orient(k === rows ? columns : rows, k)),
    ...further.map(placeOf), summary, curves);
}

showControls();
draw();
openLinked();
window.onhashchange = openLinked;
