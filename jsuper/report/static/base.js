"use strict";
// The embedded data, what is selected, and the numbers of a cell.
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
const chosen = decoded(data.chosen, Int32Array);
const shown = data.shown;
const STATUS = ["missing", "ok", "diverged", "failed"];
const OK = 1;
const KINDS = { // label -> the aggregate, and those of its 95 % interval
  median: { of: "median", low: "median_low", high: "median_high" },
  mean: { of: "mean", low: "mean_low", high: "mean_high" },
  "spread over seeds": { of: "spread" },
};

// Decodes values when they are first asked for, so that a large page appears at once.
function lazily(encoded, decode) {
  const known = {};
  return (name) => (known[name] ??= decode(encoded[name]));
}
const valuesOf = lazily(data.values, (text) => decoded(text, Float32Array));
const aggregatesOf = lazily(data.aggregates, (kinds) => Object.fromEntries(
  Object.entries(kinds).map(([kind, text]) => [kind, decoded(text, Float32Array)])));
const hasSeeds = shown.every((name) => name in data.values);

// ---- what is selected ----

// A position on every axis without a place, the statistic, the variable of the curves, how rows are
// sorted, and whether the curves of all rows share a panel.
const state = { at: dims.map(() => 0), kind: "median", curve: shown[0], sort: "as given" };
let down, across, parts, further; // the axes of rows, columns and parts (or null), and the others

function orient(rows, columns, facet) {
  [down, across, parts] = [dims[rows], dims[columns], dims[facet] ?? null];
  further = dims.filter((axis) => ![down, across, parts].includes(axis));
}

orient(dims.length - 2, dims.length - 1, -1); // as the data stands
state.together = (down.values.length > 1 && down.values.length <= 6) || down.values.length > 30;
const linkAxes = [down, across, ...further]; // a link means the same whatever is chosen later

// Positions on the axis of the parts, and on that of the rows in the order in which they stand.
const partsOf = () => (parts ? parts.values.map((_, k) => k) : [0]);
const position = (axis, row, column, part) => axis === down ? row : axis === across ? column
  : axis === parts ? part : state.at[dims.indexOf(axis)];
const cellIndex = (row, column, part = 0) => dims.reduce(
  (index, axis) => index * axis.values.length + position(axis, row, column, part), 0);
const columnsOf = () => across.values.map((_, k) => k);

function rowsOf() {
  const rows = down.values.map((_, k) => k);
  const groups = data.groups[down.name];
  const by = (key, sign = 1) => rows.map((k) => [key(k), k]).sort(([a, i], [b, j]) => {
    if (a === b || (a !== a && b !== b)) return i - j;
    return a !== a ? 1 : b !== b ? -1 : a < b ? -sign : sign; // what is not known comes last
  }).map(([, k]) => k);
  if (state.sort === "by name") return by((k) => String(down.values[k]));
  if (state.sort === "by family" && groups) return by((k) => groups[k]);
  const name = shown.find((v) => state.sort === `by ${v}`);
  if (!name) return rows;
  const sign = data.directions[name]?.better === "higher" ? -1 : 1;
  return by((k) => mean(partsOf().flatMap((part) =>
    columnsOf().map((j) => statistic(name, cellIndex(k, j, part))))), sign);
}

// ---- numbers of a cell ----

// NumPy's linear quantile of ascending numbers.
function quantile(sorted, q) {
  if (!sorted.length) return NaN;
  const place = q * (sorted.length - 1), low = Math.floor(place);
  return sorted[low] + (place - low) * (sorted[Math.ceil(place)] - sorted[low]);
}

const finite = (list) => Array.from(list).filter(Number.isFinite);
const ascending = (list) => finite(list).sort((a, b) => a - b);
const mean = (list) => finite(list).reduce((a, b) => a + b, 0) / finite(list).length;
const seedsOf = (array, cell) => array.subarray(cell * seeds.length, (cell + 1) * seeds.length);
const statistic = (name, cell) => aggregatesOf(name)[KINDS[state.kind].of][cell];
// Of the 95 % interval; NaN where there are too few seeds.
const lowOf = (name, cell) => aggregatesOf(name)[KINDS[state.kind].low]?.[cell] ?? NaN;
const highOf = (name, cell) => aggregatesOf(name)[KINDS[state.kind].high]?.[cell] ?? NaN;
// Failed fits count only in variables that measure the quality of a fit.
const countedOf = (name, cell) => !hasSeeds ? []
  : data.quality.includes(name) ? seedsOf(valuesOf(name), cell)
    : seedsOf(valuesOf(name), cell).map((v, s) => (seedsOf(failed, cell)[s] ? NaN : v));
const count = (array, cell, test) => {
  let sum = 0;
  for (let k = cell * seeds.length; k < (cell + 1) * seeds.length; k++) sum += test(array[k]);
  return sum;
};
const failedFits = (cell) => (data.reasons.length ? count(failed, cell, Boolean) : 0);
const leftOut = (cell) => count(status, cell, (s) => s !== OK);
const mostlyFailed = (cell) => // the median may be a failed fit
  failedFits(cell) > 0 && 2 * failedFits(cell) >= seeds.length - leftOut(cell);

// ---- words ----

function number(v, digits = 3) {
  if (!Number.isFinite(v)) return "–";
  const size = Math.abs(v);
  if (v !== 0 && (size < 1e-3 || size >= 1e4))
    return v.toExponential(digits - 1).replace("e+", "e");
  return size >= 100 && digits < 4 ? v.toFixed(0) : String(Number(v.toPrecision(digits)));
}

const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1)}.`;
const markOf = (name) => data.directions[name]?.mark ?? data.directions[name]?.centre ?? NaN;
const readsOf = (name) => // how to read its values, not their spread
  (KINDS[state.kind].low ? sentence(data.directions[name]?.reads ?? "") : "");
const word = () => (KINDS[state.kind].low ? state.kind : "interquartile range");
const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const ofSeeds = `over ${status.every((s) => s === OK) ? "" : "up to "}${counted(seeds.length, "seed")}`;
const selected = () => further.map((axis) => `${axis.name} ${axis.values[position(axis)]}`);
const partName = (part) => (parts ? `${parts.name} ${parts.values[part]}` : "");
const place = (row, column, part = 0) =>
  [...selected(), ...(parts ? [partName(part)] : []), `${down.name} ${down.values[row]}`,
    `${across.name} ${across.values[column]}`].join(", ");
// A number needs the name of its axis.
const rowName = (row) => {
  const value = down.values[row];
  return typeof value === "number" ? `${down.name} ${value}` : String(value);
};
