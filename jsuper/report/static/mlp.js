// Pictures of an MLP: which neurons serve which features, and the error of every feature.

function drawModel(figure, { reads, writes, feature_loss: error, residual_loss: alone, loss_curve: curve = [] },
  coordinates) {
  const products = reads.map((row, j) => row.map((v, i) => v * writes[j][i]));
  const largest = Math.max(1e-30, ...products.map((row) => Math.max(...row.map(Math.abs))));
  addPicture(figure, "Contribution reads × writes, neurons down, features across: " +
    `−${number(largest, 2)} blue, 0 white, ${number(largest, 2)} red`, "contributions", contributionsPicture(products, largest),
  () => [["neuron", ...error.map((_, i) => i)], ...products.map((row, j) => [j, ...row])]);
  const shares = error.map((e, i) => (alone[i] > 0 ? e / alone[i] : 0));
  addPicture(figure, "Error of every feature over that without hidden units; feature 0 on the left", "errors",
    errorsPicture(shares), () => [["feature", "error"], ...shares.map((v, i) => [i, v])]);
  if (curve.length > 1) {
    const steps = coordinates.step.slice(0, curve.length);
    addPicture(figure, "Loss of the training batches", "learning curve",
      plotOf(steps, [{ values: curve, colour: "#0072B2", width: 1.4 }], { name: "loss", xlabel: "step", mayBeLog: true }),
      () => [["step", "loss"], ...steps.map((step, k) => [step, curve[k]])]);
  }
}

function contributionsPicture(products, largest) {
  const rows = products.length, columns = products[0].length;
  const across = 300 / columns, down = Math.min(across, 300 / rows);
  const picture = svg("svg", { viewBox: `0 0 302 ${down * rows + 2}`, role: "img",
    "aria-label": "contributions of neurons to features" },
    imageAt(matrixImage(products, largest), 1, 1, 300, down * rows), frame(1, 1, 300, down * rows));
  picture.readAt = (x, y) => {
    const [j, i] = [Math.floor((y - 1) / down), Math.floor((x - 1) / across)];
    return products[j]?.[i] === undefined ? "" : `neuron ${j}, feature ${i}: ${number(products[j][i], 4)}`;
  };
  return picture;
}

// Bars from 0 to the largest error, at least 1, with a line at 1.
function errorsPicture(shares) {
  const step = 296 / shares.length, height = 80, top = Math.max(1, ...shares);
  const picture = svg("svg", { viewBox: `0 0 322 ${height + 6}`, role: "img", "aria-label": "error of every feature" },
    ...shares.map((share, i) => svg("rect", { x: 22 + i * step, y: 3 + height - (height * share) / top,
      width: step * 0.8, height: (height * share) / top, fill: "#3C8FC7" })),
    frame(21, 3, 300, height),
    ...[0, 1].map((v) => svgText(v, { x: 16, y: 3 + height - (height * v) / top + 4, "text-anchor": "end" })));
  if (top > 1) picture.append(svg("line", { x1: 21, x2: 321, y1: 3 + height - height / top, y2: 3 + height - height / top,
    stroke: "currentColor", "stroke-width": 0.6, "stroke-dasharray": "3 2" }));
  picture.readAt = (x) => {
    const i = Math.floor((x - 22) / step);
    return shares[i] === undefined ? "" : `feature ${i}: ${number(shares[i], 4)}`;
  };
  return picture;
}
