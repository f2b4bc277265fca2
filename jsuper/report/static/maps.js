// Heatmaps of the headline variables: tables of buttons, or pictures of many small squares.

const DETAILED = { columns: 16, cells: 700 }; // beyond these a map has no numbers in its cells

function drawMaps() {
  document.getElementById("heatmaps").replaceChildren(...data.headlines.map(mapFigure));
}

function mapFigure(name) {
  const detailed = across.values.length <= DETAILED.columns
    && across.values.length * down.values.length <= DETAILED.cells;
  if (!aggregatesOf(name).defined.some(Boolean))
    return make("figure", {}, make("h3", { textContent: name }),
      make("figcaption", { textContent: `${sentence(data.descriptions[name])} ${failed.some(Boolean)
        ? "No model with a fit has a value." : "Undefined for every model."}` }));
  const pieces = partsOf().map((part) => make("div", { className: "part" },
    ...(parts ? [make("h4", { textContent: partName(part) })] : []),
    detailed ? make("div", { className: "scroll tall" }, mapTable(name, part)) : largeMap(name, part)));
  const title = [`${name}: ${word()} ${ofSeeds}`, ...selected()].join(", ");
  const figure = make("figure", {}, make("h3", { textContent: title }),
    make("figcaption", { textContent: mapNote(name, detailed) }), make("div", { className: "parts" }, ...pieces),
    scaleBar(name));
  figure.querySelector("h3").append(" ", saving([name, word(), ...selected()].join("_"), {
    picture: () => mapSvg(name, partsOf()), rows: () => mapRows(name) }));
  return figure;
}

function mapNote(name, detailed) {
  const cells = partsOf().flatMap((part) => down.values.flatMap((_, i) =>
    columnsOf().map((j) => cellIndex(i, j, part))));
  const sum = (f) => cells.reduce((total, cell) => total + f(cell), 0);
  const total = cells.length * seeds.length, left = sum(leftOut), notFits = sum(failedFits);
  const unknown = sum((cell) => seeds.length - aggregatesOf(name).defined[cell]) - left
    - (data.quality.includes(name) ? 0 : notFits);
  return `${sentence(data.descriptions[name])} ${readsOf(name)} ` + (left
    ? `${left.toLocaleString("en")} of ${counted(total, "model")} left out.`
    : `All ${counted(total, "model")}.`)
    + (notFits ? ` ${counted(notFits, "failed fit")}`
      + `${data.quality.includes(name) ? "" : ` left out of the ${state.kind}`}; ${detailed ? "hatched" : "grey"}: half of the cell or more.` : "")
    + (unknown > 0 ? ` Undefined for ${counted(unknown, "model")}.` : "");
}

// The number of a cell, its colour, and what is said of it under the pointer.
function cellOf(name, row, column, part) {
  const cell = cellIndex(row, column, part), value = statistic(name, cell), grey = mostlyFailed(cell);
  const colour = grey ? GREY : scaleOf(name).colour(value);
  return { cell, value, grey, colour, ink: inkOn(colour), lacking: leftOut(cell) > 0 };
}

function cellText(name, row, column, part) {
  const cell = cellIndex(row, column, part), low = lowOf(name, cell);
  const own = data.reasons.length ? failedFits(cell) : 0;
  const all = own && hasSeeds ? seedsOf(valuesOf(name), cell).filter((_, s) => seedsOf(failed, cell)[s]) : [];
  return `${place(row, column, part)}: ${number(statistic(name, cell), 5)}`
    + (Number.isFinite(low) ? ` (95 % interval ${number(low, 4)} to ${number(highOf(name, cell), 4)})` : "")
    + (own ? `; ${counted(own, "failed fit")} of ${counted(seeds.length, "seed")}` : "")
    + (all.length ? `, median ${number(quantile(ascending(all), 0.5), 5)}` : "");
}

function mapTable(name, part) {
  const body = rowsOf().map((i, line) => make("tr", {},
    make("th", { scope: "row", textContent: down.values[i] }),
    ...columnsOf().map((j) => {
      const { value, grey, colour, ink, lacking } = cellOf(name, i, j, part);
      const button = make("button", {
        type: "button", textContent: number(value, 2), title: cellText(name, i, j, part),
        "aria-label": cellText(name, i, j, part),
        className: [lacking ? "lacking" : "", grey ? "failed" : ""].join(" ").trim(),
        onclick: () => openCell(i, j, part),
        tabIndex: line || j ? -1 : 0, // one stop for the whole map; arrow keys move within it
      });
      if (!grey) button.style.background = css(colour);
      button.style.color = grey ? "#000" : ink;
      return make("td", {}, button);
    })));
  const head = make("tr", {}, make("th", { scope: "col", textContent: `${down.name} \\ ${across.name}` }),
    ...across.values.map((v) => make("th", { scope: "col", textContent: v })));
  return make("table", { className: "heatmap", onkeydown: moveFocus, "aria-label": [name, partName(part)].filter(Boolean).join(", ") },
    make("thead", {}, head), make("tbody", {}, ...body));
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

// ---- maps of many cells: one image, with a cursor that the arrow keys move ----

const LARGE = { left: 70, top: 6, bottom: 34, side: 420 };

function largeMap(name, part) {
  const rows = rowsOf(), columns = across.values.length;
  const picture = mapSvg(name, [part]), { x, y, width, height } = picture.area;
  const [stepX, stepY] = [width / columns, height / rows.length];
  const cursor = svg("rect", { width: stepX, height: stepY, fill: "none", stroke: "#000",
    "stroke-width": 1.2, visibility: "hidden" });
  const halo = svg("rect", { ...Object.fromEntries(Array.from(cursor.attributes, (a) => [a.name, a.value])),
    stroke: "#fff", "stroke-width": 3 });
  const line = make("output", { className: "reading", textContent: "\u00a0" });
  let at = [0, 0];
  const show = (row, column) => {
    at = [Math.min(Math.max(row, 0), rows.length - 1), Math.min(Math.max(column, 0), columns - 1)];
    for (const box of [halo, cursor]) {
      box.setAttribute("x", x + at[1] * stepX);
      box.setAttribute("y", y + at[0] * stepY);
      box.setAttribute("visibility", "visible");
    }
    line.textContent = cellText(name, rows[at[0]], at[1], part);
  };
  const under = (event) => {
    const box = picture.getBoundingClientRect(), view = picture.viewBox.baseVal;
    const px = ((event.clientX - box.left) / box.width) * view.width - x;
    const py = ((event.clientY - box.top) / box.height) * view.height - y;
    return px >= 0 && py >= 0 && px < width && py < height ? [Math.floor(py / stepY), Math.floor(px / stepX)] : null;
  };
  picture.append(halo, cursor);
  picture.addEventListener("pointermove", (event) => under(event) && show(...under(event)));
  picture.addEventListener("click", (event) => under(event) && openCell(rows[under(event)[0]], under(event)[1], part));
  const box = make("div", { className: "large", tabIndex: 0, role: "application",
    "aria-label": `${name}${parts ? `, ${partName(part)}` : ""}: ${down.name} by ${across.name}; arrow keys move, Enter opens a cell`,
    onfocus: () => show(...at),
    onkeydown: (event) => {
      const step = ARROWS[event.key];
      if (step) show(at[0] + step[0], at[1] + step[1]);
      else if (event.key === "Enter") openCell(rows[at[0]], at[1], part);
      else return;
      event.preventDefault();
    } }, picture);
  return make("div", {}, box, line);
}

// The map of some parts as an SVG, side by side, for the screen or for a file.
function mapSvg(name, shownParts) {
  const rows = rowsOf(), columns = columnsOf();
  const detailed = columns.length <= DETAILED.columns && columns.length * rows.length <= DETAILED.cells;
  const left = Math.min(160, 20 + 6 * Math.max(...rows.map((i) => String(down.values[i]).length), down.name.length));
  const width = detailed ? 44 * columns.length : LARGE.side;
  const height = detailed ? 18 * rows.length : Math.min(LARGE.side * 2, Math.max(60, LARGE.side * rows.length / columns.length));
  const top = LARGE.top + (shownParts.length > 1 || (parts && detailed) ? 14 : 0);
  const whole = left + width + 10;
  const picture = svg("svg", { role: "img", "aria-label": name,
    viewBox: `0 0 ${whole * shownParts.length} ${top + height + LARGE.bottom}` });
  shownParts.forEach((part, k) => {
    const x = k * whole + left;
    if (top > LARGE.top) picture.append(svgText(partName(part), { x, y: 10 }));
    picture.append(...(detailed ? detailedCells : imageOfCells)(name, part, { x, y: top, width, height }),
      ...labelsOf(rows, { x, y: top, width, height }));
  });
  picture.area = { x: left, y: top, width, height };
  return picture;
}

function detailedCells(name, part, { x, y }) {
  return rowsOf().flatMap((i, line) => columnsOf().flatMap((j) => {
    const { value, colour, ink } = cellOf(name, i, j, part);
    return [svg("rect", { x: x + 44 * j, y: y + 18 * line, width: 44, height: 18, fill: css(colour) }),
      svgText(number(value, 2), { x: x + 44 * j + 22, y: y + 18 * line + 13, fill: ink, "text-anchor": "middle" })];
  }));
}

function imageOfCells(name, part, { x, y, width, height }) {
  const rows = rowsOf(), columns = columnsOf();
  const canvas = make("canvas", { width: columns.length, height: rows.length });
  const pen = canvas.getContext("2d"), image = pen.createImageData(columns.length, rows.length);
  rows.forEach((i, line) => columns.forEach((j) =>
    image.data.set([...cellOf(name, i, j, part).colour, 255], 4 * (line * columns.length + j))));
  pen.putImageData(image, 0, 0);
  return [imageAt(canvas.toDataURL(), x, y, width, height)];
}

// Names of both axes and as many of their values as there is room for.
function labelsOf(rows, { x, y, width, height }) {
  const some = (count, room) => Array.from({ length: count }, (_, k) => k)
    .filter((k) => k % Math.ceil(count / room) === 0);
  const longest = Math.max(...across.values.map((v) => String(v).length));
  const stepY = height / rows.length, stepX = width / across.values.length;
  return [
    ...some(rows.length, height / 14).map((k) => svgText(down.values[rows[k]],
      { x: x - 5, y: y + (k + 0.5) * stepY + 3.5, "text-anchor": "end" })),
    ...some(across.values.length, width / (8 + 6 * longest)).map((j) => svgText(across.values[j],
      { x: x + (j + 0.5) * stepX, y: y + height + 13, "text-anchor": "middle" })),
    svgText(across.name, { x: x + width / 2, y: y + height + 27, "text-anchor": "middle" }),
    svgText(down.name, { x: 10, y: y + height / 2, "text-anchor": "middle",
      transform: `rotate(-90 10 ${y + height / 2})` }),
  ];
}

function mapRows(name) {
  const interval = KINDS[state.kind].low ? ["low", "high"] : [];
  return [[...(parts ? [parts.name] : []), down.name, across.name, `${name}, ${word()}`,
    ...interval.map((side) => `${side} end of the 95 % interval`), "failed fits", "left out"],
  ...partsOf().flatMap((part) => rowsOf().flatMap((i) => columnsOf().map((j) => {
    const cell = cellIndex(i, j, part);
    return [...(parts ? [parts.values[part]] : []), down.values[i], across.values[j], statistic(name, cell),
      ...interval.map((side) => (side === "low" ? lowOf : highOf)(name, cell)), failedFits(cell), leftOut(cell)];
  })))];
}

// The colours from the least to the largest value, and a mark at the value that means something,
// such as 1.
function scaleBar(name) {
  const { least, most, log, below, above, of, colour } = scaleOf(name);
  const mark = markOf(name), bar = make("i");
  const [start, end] = [of(least), of(most)];
  const inverse = (t) => (log ? least * (most / least) ** t : least + (most - least) * t);
  bar.style.background = `linear-gradient(to right, ${[0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]
    .map((t) => css(colour(inverse(t))))})`;
  const marked = KINDS[state.kind].low && Number.isFinite(mark);
  const at = marked ? (end > start ? (of(mark) - start) / (end - start) : mark === least ? 0.5 : NaN) : NaN;
  if (at >= 0 && at <= 1) {
    const line = make("b", { textContent: number(mark) });
    line.style.left = `${100 * at}%`;
    bar.append(line);
  }
  const ends = number(least) === number(most) && !below && !above ? [number(least), bar]
    : [below + number(least), bar, above + number(most)];
  const notes = [log ? "logarithmic" : "", at < 0 || at > 1 ? `${number(mark)} is beyond it` : ""].filter(Boolean);
  return make("div", { className: "scale" }, ...ends,
    make("span", { textContent: notes.length ? `(${notes.join("; ")})` : "" }));
}
