// The table of all cells.

const MOST_ROWS = 400; // on the page; the CSV has all of them
const sorting = { column: null, up: true };
const table = { rows: [] }; // as it is shown, with its head

document.getElementById("csv").onclick = () => download("table.csv", toCsv(table.rows), "text/csv");
document.getElementById("csv-models").onclick = () => download("models.csv", toCsv(modelRows()), "text/csv");
document.getElementById("csv-models").hidden = !hasSeeds;
document.getElementById("filter").oninput = () => drawTable();

function drawTable() {
  const placed = parts ? [parts, down, across] : [down, across];
  const rows = partsOf().flatMap((part) => rowsOf().flatMap((i) => columnsOf().map((j) => {
    const cell = cellIndex(i, j, part), at = parts ? [part, i, j] : [i, j];
    return { i, j, part, at, cells: [...placed.map((axis, k) => axis.values[at[k]]),
      ...shown.map((name) => statistic(name, cell)), leftOut(cell),
      ...(data.reasons.length ? [failedFits(cell)] : [])] };
  })));
  const names = [...placed.map((axis) => axis.name), ...shown, "left out",
    ...(data.reasons.length ? ["failed fits"] : [])];
  if (sorting.column !== null && sorting.column < names.length) rows.sort(compareBy(placed.length));
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = rows.filter(({ cells }) => words.every((w) => cells.slice(0, placed.length).some((label) =>
    typeof label === "number" ? String(label) === w : String(label).toLowerCase().includes(w))));
  table.rows = [names, ...kept.map(({ cells }) => cells)];
  document.getElementById("table").replaceChildren(
    make("thead", {}, make("tr", {}, ...names.map(columnHead))),
    make("tbody", {}, ...kept.slice(0, MOST_ROWS).map((row) => tableRow(row, placed.length))));
  document.getElementById("table-note").textContent =
    [`The ${word()} ${ofSeeds}`, ...selected()].join(", ")
    + ". Click a column name to sort, or a row to see its models."
    + (kept.length > MOST_ROWS ? ` The first ${MOST_ROWS} of ${counted(kept.length, "row")}; filter for others, or save the CSV.` : "");
}

function columnHead(name, k) {
  return make("th", {
    scope: "col",
    "aria-sort": sorting.column !== k ? "none" : sorting.up ? "ascending" : "descending",
  }, make("button", {
    type: "button", textContent: name + (sorting.column !== k ? "" : sorting.up ? " ▲" : " ▼"),
    onclick: () => {
      Object.assign(sorting, { up: sorting.column === k ? !sorting.up : true, column: k });
      drawTable();
      document.querySelectorAll("#table thead button")[k].focus();
    },
  }));
}

function tableRow({ i, j, part, cells }, labels) {
  const open = make("button", { type: "button", textContent: cells[0], onclick: () => openCell(i, j, part) });
  return make("tr", { onclick: ({ target }) => target === open || openCell(i, j, part) },
    make("th", { scope: "row" }, open),
    ...cells.slice(1, labels).map((v) => make("td", { textContent: v })),
    ...cells.slice(labels).map((v) => make("td", { textContent: number(v) })));
}

// Numbers by size, axes in the order of the grid; missing values always come last.
const compareBy = (labels) => (first, second) => {
  const k = sorting.column, sign = sorting.up ? 1 : -1;
  if (k < labels) return sign * (first.at[k] - second.at[k]);
  const a = first.cells[k], b = second.cells[k];
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.isFinite(b) - Number.isFinite(a);
  return sign * (a - b);
};

// One row per model of the whole sweep.
function modelRows() {
  const point = (cell) => dims.reduceRight(([rest, at], axis) =>
    [Math.floor(rest / axis.values.length), [axis.values[rest % axis.values.length], ...at]], [cell, []])[1];
  const cells = Array.from({ length: status.length / seeds.length }, (_, cell) => cell);
  return [[...axes.map((axis) => axis.name), "status", ...(data.reasons.length ? ["failed fit"] : []), ...shown],
    ...cells.flatMap((cell) => seeds.map((seed, s) => [...point(cell), seed, STATUS[seedsOf(status, cell)[s]],
      ...(data.reasons.length ? [data.reasons[seedsOf(failed, cell)[s] - 1] ?? ""] : []),
      ...shown.map((name) => seedsOf(valuesOf(name), cell)[s])]))];
}
