"use strict";
// Pictures of a toy model: WᵀW, W_decᵀW or W_decᵀMW, with b to its right, and the norm of every
// embedding. A hidden activation is no part of these products.

function drawModel(place, { W, b, W_dec, M }) {
  const m = W.length, untied = W_dec !== undefined && W_dec.length > 0;
  const mapped = M !== undefined && M.length > 0;
  const name = (untied ? "W_decᵀ" : "Wᵀ") + (mapped ? "MW" : "W");
  const read = untied ? W_dec : W;
  place.append(caption(`${name}, and b to its right: −1 blue, 0 white, 1 red`));
  place.append(productPicture(productOf(mapped ? throughMap(M, read) : read, W), b, m, name));
  place.append(caption("‖W_i‖, feature 0 on top; interference from violet, 0, to yellow, 1 or more"));
  place.append(barsPicture(productOf(W, W), m));
}

function throughMap(M, read) {
  return M[0].map((_, k) => read[0].map((_, i) =>
    M.reduce((sum, row, l) => sum + row[k] * read[l][i], 0)));
}

function productOf(read, W) {
  return W[0].map((_, i) => W[0].map((_, j) =>
    W.reduce((sum, unit, k) => sum + read[k][i] * unit[j], 0)));
}

function productPicture(product, b, m, name) {
  const n = b.length, size = 240 / n;
  const [canvas, pen] = canvasOf(242 + 2 * size, 242, `${name} and b`);
  const square = (x, y, v) => {
    pen.fillStyle = redBlue(v);
    pen.fillRect(x, y, size + 0.4, size + 0.4); // no seams between squares
  };
  product.forEach((row, i) => row.forEach((v, j) => square(1 + j * size, 1 + i * size, v)));
  b.forEach((v, i) => square(1 + (n + 1) * size, 1 + i * size, v));
  pen.strokeRect(1, 1, 240, 240);
  pen.strokeRect(1 + (n + 1) * size, 1, size, 240);
  if (m < n) { // features beyond m do not fit without superposition
    pen.lineWidth = 0.5;
    pen.strokeRect(1, 1, m * size, m * size);
  }
  return canvas;
}

function barsPicture(product, m) {
  const n = product.length, step = Math.max(200 / n, 3), height = Math.min(step * 0.8, 24);
  const lengths = product.map((row, i) => Math.sqrt(Math.max(row[i], 0)));
  const unit = 200 / Math.max(1.2, ...lengths);
  const [canvas, pen] = canvasOf(242, step * n + 18, "norm of every feature");
  lengths.forEach((length, i) => {
    const others = product[i].reduce((sum, v, j) => sum + (j === i ? 0 : v * v), 0);
    pen.fillStyle = `rgb(${viridis(length ? Math.sqrt(others) / length : 0)})`;
    pen.fillRect(20, i * step + (step - height) / 2, length * unit, height);
  });
  pen.fillStyle = "#000";
  pen.font = "9px sans-serif";
  const every = Math.ceil(10 / step);
  for (let i = 0; i < n; i += every) pen.fillText(i, 4, (i + 0.5) * step + 3);
  for (const length of [0, 1]) {
    pen.fillRect(20 + length * unit, 0, 0.5, step * n + 3);
    pen.fillText(length, 18 + length * unit, step * n + 14);
  }
  if (m < n) pen.fillRect(20, m * step, 222, 0.5);
  return canvas;
}
