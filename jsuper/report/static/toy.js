// Pictures of a toy model: WᵀW, W_decᵀW or W_decᵀMW, with b to its right; the norm and the
// dimensionality of every feature; the learning curve. A hidden activation is no part of products.

function drawModel(figure, arrays, coordinates) {
  const { W, b, W_dec, M, loss_curve: curve = [], W_snapshots: snapshots = [] } = arrays;
  const box = make("div"), given = (array) => array !== undefined && array.length > 0;
  const show = (weights, at) => box.replaceChildren(...picturesAt(weights, at === null
    ? { b, W_dec: given(W_dec) ? W_dec : null, M: given(M) ? M : null } : {}, at));
  show(W, null);
  if (snapshots.length) figure.append(slider(snapshots, coordinates.snapshot_step, W, show));
  figure.append(box);
  if (curve.length > 1) {
    const steps = coordinates.step.slice(0, curve.length);
    addPicture(figure, "Loss of the training batches", "learning curve",
      plotOf(steps, [{ values: curve, colour: "#0072B2", width: 1.4 }],
        { name: "loss", xlabel: "step", mayBeLog: true }),
      () => [["step", "loss"], ...steps.map((step, k) => [step, curve[k]])]);
  }
}

// A slider over the snapshots, with the final weights at its right end.
function slider(snapshots, steps, W, show) {
  const says = (k) => (k < snapshots.length ? `weights after step ${steps[k]}` : "final weights");
  const text = make("span", { textContent: says(snapshots.length) });
  return make("label", { className: "slider" }, make("input", { type: "range", min: 0, step: 1,
    max: snapshots.length, value: snapshots.length, "aria-label": "snapshot",
    oninput: ({ target }) => {
      const k = Number(target.value);
      text.textContent = says(k);
      show(...(k < snapshots.length ? [snapshots[k], steps[k]] : [W, null]));
    } }), text);
}

// Pictures of the weights after a step; null: of the final model. Snapshots hold W alone.
function picturesAt(W, { b, W_dec, M }, step) {
  const figure = make("div"), m = W.length;
  const read = W_dec ?? W, name = step !== null ? "WᵀW" : `${W_dec ? "W_decᵀ" : "Wᵀ"}${M ? "M" : ""}W`;
  const product = productOf(M ? throughMap(M, read) : read, W);
  const largest = Math.max(1, ...product.flat().map(Math.abs), ...(b ?? []).map(Math.abs));
  const end = number(largest, 2);
  addPicture(figure, `${name}${b ? ", and b to its right" : ""}: −${end} blue, 0 white, ${end} red`, name,
    productPicture(product, b, m, name, largest),
    () => [["", ...product.map((_, j) => j), ...(b ? ["b"] : [])],
      ...product.map((row, i) => [i, ...row, ...(b ? [b[i]] : [])])]);
  const own = productOf(W, W), found = featuresOf(own);
  const most = Math.max(1, ...found.map((one) => one.interference));
  addPicture(figure, "‖W_i‖, and the dimensionality D_i, feature 0 on top; interference from violet, 0, "
    + `to yellow, ${number(most, 2)}`, "features", featuresPicture(found, m, most),
  () => [["feature", "norm", "dimensionality", "interference"],
    ...found.map((one, i) => [i, one.norm, one.dimensionality, one.interference])]);
  return Array.from(figure.childNodes);
}

function throughMap(M, read) {
  return M[0].map((_, k) => read[0].map((_, i) =>
    M.reduce((sum, row, l) => sum + row[k] * read[l][i], 0)));
}

function productOf(read, W) {
  return W[0].map((_, i) => W[0].map((_, j) =>
    W.reduce((sum, unit, k) => sum + read[k][i] * unit[j], 0)));
}

// Norm, D_i = ‖W_i‖² / Σ_j (Ŵ_i·W_j)² and interference √Σ_{j≠i} (Ŵ_i·W_j)² of every feature.
function featuresOf(product) {
  return product.map((row, i) => {
    const square = Math.max(row[i], 0);
    const others = row.reduce((sum, v, j) => sum + (j === i ? 0 : v * v), 0);
    return { norm: Math.sqrt(square), interference: square ? Math.sqrt(others / square) : 0,
      dimensionality: square ? square ** 2 / (square ** 2 + others) : 0 };
  });
}

function productPicture(product, b, m, name, largest) {
  const n = product.length, size = 240 / n;
  const picture = svg("svg", { viewBox: `0 0 ${b ? 244 + 2 * size : 242} 242`, role: "img",
    "aria-label": b ? `${name} and b` : name, class: "product" },
    imageAt(matrixImage(product, largest), 1, 1, 240, 240), outline(1, 1, 240, 240));
  if (b) picture.append(imageAt(matrixImage(b.map((v) => [v]), largest), 1 + 240 + size, 1, size, 240),
    outline(1 + 240 + size, 1, size, 240));
  if (m < n) picture.append(outline(1, 1, m * size, m * size)); // beyond it, superposition is needed
  picture.readAt = (x, y) => {
    const [i, j] = [Math.floor((y - 1) / size), Math.floor((x - 1) / size)];
    if (i < 0 || i >= n || j < 0) return "";
    if (j < n) return `${name}[${i}, ${j}] = ${number(product[i][j], 4)}`;
    return b && j === n + 1 ? `b[${i}] = ${number(b[i], 4)}` : "";
  };
  return picture;
}

// Black, also in dark mode: these pictures are white.
function outline(x, y, width, height) {
  const box = frame(x, y, width, height);
  box.setAttribute("stroke", "#000");
  return box;
}

// Two bars of every feature: its norm, and its dimensionality from 0 to 1.
function featuresPicture(found, m, most) {
  const n = found.length, step = Math.max(200 / n, 4), height = Math.min(step * 0.8, 24);
  const ends = [Math.max(1.2, ...found.map((one) => one.norm)), 1];
  const starts = [18, 146], width = 108, y = (i) => i * step + 2;
  const picture = svg("svg", { viewBox: `0 0 262 ${step * n + 18}`, role: "img",
    "aria-label": "norm and dimensionality of every feature" });
  found.forEach((one, i) => {
    const fill = css(viridis(one.interference / most));
    [one.norm, one.dimensionality].forEach((v, k) => picture.append(svg("rect", { x: starts[k],
      y: y(i) + (step - height) / 2, width: (v / ends[k]) * width, height, fill,
      stroke: "#888", "stroke-width": 0.3 })));
    if (i % Math.ceil(11 / step) === 0) picture.append(svgText(i, { x: 14, y: y(i) + step / 2 + 3,
      "text-anchor": "end", "font-size": 9 }));
  });
  ends.forEach((end, k) => [0, 1].forEach((v) => {
    const x = starts[k] + (v / end) * width;
    picture.append(svg("line", { x1: x, x2: x, y1: 0, y2: step * n + 4, stroke: "currentColor", "stroke-width": 0.6 }),
      svgText(v === 1 ? `${["norm", "D_i"][k]} 1` : v, { x, y: step * n + 15, "text-anchor": v ? "end" : "start", "font-size": 9 }));
  }));
  if (m < n) picture.append(svg("line", { x1: 16, x2: 258, y1: y(m), y2: y(m), stroke: "currentColor",
    "stroke-width": 0.5, "stroke-dasharray": "3 2" }));
  picture.readAt = (x, py) => {
    const one = found[Math.floor((py - 2) / step)];
    return one ? `feature ${Math.floor((py - 2) / step)}: norm ${number(one.norm, 4)}, D ${number(one.dimensionality, 4)}, `
      + `interference ${number(one.interference, 4)}` : "";
  };
  return picture;
}
