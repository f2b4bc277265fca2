"use strict";
// Pictures of an MLP: which neurons serve which features, and the error of every feature.

function drawModel(place, { reads, writes, feature_loss: error, residual_loss: alone }) {
  const rows = reads.length, columns = error.length;
  const products = reads.map((row, j) => row.map((v, i) => v * writes[j][i]));
  const largest = Math.max(1e-30, ...products.map((row) => Math.max(...row.map(Math.abs))));
  place.append(caption("Contribution reads × writes, neurons down, features across: " +
    `−${labelOf(largest)} blue, 0 white, ${labelOf(largest)} red`));
  place.append(matrixPicture(products.map((row) => row.map((v) => v / largest)), rows, columns));
  place.append(caption("Error of every feature over that without hidden units, from 0 to 1; " +
    "feature 0 on the left"));
  place.append(barsPicture(error.map((e, i) => (alone[i] > 0 ? e / alone[i] : 0))));
}

function labelOf(v) {
  return String(Number(v.toPrecision(2)));
}

function matrixPicture(values, rows, columns) {
  const across = 300 / columns, down = Math.min(across, 300 / rows);
  const [canvas, pen] = canvasOf(302, down * rows + 2, "contributions of neurons to features");
  values.forEach((row, j) => row.forEach((v, i) => {
    pen.fillStyle = redBlue(v);
    pen.fillRect(1 + i * across, 1 + j * down, across + 0.4, down + 0.4); // no seams
  }));
  pen.strokeRect(1, 1, 300, down * rows);
  return canvas;
}

function barsPicture(shares) {
  const step = 300 / shares.length, height = 80;
  const [canvas, pen] = canvasOf(302, height + 2, "error of every feature");
  pen.fillStyle = "#0072B2";
  shares.forEach((share, i) => {
    const size = height * Math.min(share, 1);
    pen.fillRect(1 + i * step, 1 + height - size, step * 0.8, size);
  });
  pen.strokeRect(1, 1, 300, height);
  return canvas;
}
