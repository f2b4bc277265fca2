// One cell: pictures of three of its models, and the values of all.

const picturesOf = lazily(data.pictures, ({ shape, values }) =>
  ({ shape, values: decoded(values, Float32Array) }));

function openCell(row, column, part = 0) {
  const cell = cellIndex(row, column, part);
  const dialog = document.getElementById("cell");
  document.getElementById("cell-title").textContent = place(row, column, part);
  const code = snippet(row, column, part, Math.max(chosen[3 * cell], 0));
  document.getElementById("cell-body").replaceChildren(neighbours(row, column, part), models(cell),
    seedTable(cell, place(row, column, part)),
    make("p", { className: "note", textContent: "This cell in Python: " }, copying(code)),
    make("pre", { textContent: code, tabIndex: 0 }));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, "", `#${linkAxes.map((axis) =>
    encodeURIComponent(axis.values[position(axis, row, column, part)])).join("/")}`);
}

// Buttons that lead to the cells before and after this one, row by row as they are shown.
function neighbours(row, column, part) {
  const rows = rowsOf(), width = across.values.length, here = rows.indexOf(row) * width + column;
  const button = (label, at) => make("button", {
    type: "button", textContent: label, disabled: at < 0 || at >= rows.length * width,
    onclick: () => {
      openCell(rows[Math.floor(at / width)], at % width, part);
      const again = Array.from(document.querySelectorAll(".steps button"));
      (again.find((b) => b.textContent === label && !b.disabled) ?? again.find((b) => !b.disabled)).focus();
    },
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

// Opens the cell that a link such as #relu/0.9 names: a value of the rows and of the columns as the
// page first shows them, and possibly of each further axis.
function openLinked() {
  const given = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (given.length < 2) return;
  const at = new Map(linkAxes.map((axis, k) => [axis, k < given.length
    ? axis.values.findIndex((v) => String(v) === given[k]) : state.at[dims.indexOf(axis)]]));
  if (Array.from(at.values()).includes(-1)) return;
  further.forEach((axis) => { state.at[dims.indexOf(axis)] = at.get(axis); });
  showControls();
  draw();
  openCell(at.get(down), at.get(across), parts ? at.get(parts) : 0);
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
    const rank = hasSeeds ? `, ${data.rank} ${number(seedsOf(valuesOf(data.rank), cell)[seed], 4)}` : "";
    const figure = make("figure", {}, make("h3", {
      textContent: `${names.join(", ")}: seed ${seeds[seed]}${rank}` }));
    drawModel(figure, arraysOf(index), data.coordinates);
    return figure;
  }));
}

// The arrays of one model, without the NaN padding of smaller models.
function arraysOf(index) {
  return Object.fromEntries(Object.keys(data.pictures).map((name) => {
    const { shape, values: all } = picturesOf(name);
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

function seedTable(cell, name) {
  const columns = hasSeeds ? shown : [];
  const rows = [["seed", ...columns, "status"], ...seeds.map((seed, s) =>
    [seed, ...columns.map((v) => seedsOf(valuesOf(v), cell)[s]), outcome(cell, s)])];
  const note = make("p", { className: "note", textContent: hasSeeds ? "All seeds " :
    `The values of single seeds are left out of this page: ${data.without_seeds}. ` },
    saving(`seeds of ${name}`, { rows: () => rows }));
  const [head, ...body] = rows;
  return make("div", {}, note, make("div", { className: "seeds", tabIndex: 0, role: "region",
    "aria-label": "values of all seeds" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((v) => make("th", { scope: "col", textContent: v })))),
    make("tbody", {}, ...body.map(([seed, ...values]) => make("tr", {}, make("th", { scope: "row", textContent: seed }),
      ...values.map((v) => make("td", { textContent: typeof v === "number" ? number(v, 4) : v }))))))));
}

function snippet(row, column, part, seed) {
  const at = [...dims.map((axis) => [axis, position(axis, row, column, part)]), [seedAxis, seed]];
  const python = (v) => (typeof v === "boolean" ? (v ? "True" : "False") : JSON.stringify(v));
  const point = at.map(([axis, i]) => `${axis.name}=${python(axis.values[i])}`);
  return `import jsuper\n\nds = jsuper.analyze(jsuper.load(${JSON.stringify(data.path)}))\n` +
    `model = ds.sel(${point.join(", ")})`;
}
