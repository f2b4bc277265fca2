// Pictures of one factorization: its loss, and its alignment with every component, against time.

function drawModel(figure, { time, loss_curve: loss, alignment }) {
  const several = alignment[0].length > 1, xlabel = "time, steps × learning rate";
  addPicture(figure, "Loss against time", "loss", plotOf(time, [{ values: loss, colour: "#0072B2", width: 1.6 }],
    { name: "loss", xlabel, mayBeLog: true }),
  () => [["time", "loss"], ...time.map((t, k) => [t, loss[k]])]);
  const colours = coloursOf(alignment.length);
  const thin = alignment.flatMap((pairs, r) =>
    several ? pairs.map((values) => ({ values, colour: colours[r], width: 0.6 })) : []);
  const sums = alignment.map((pairs) => time.map((_, i) => pairs.reduce((sum, pair) => sum + pair[i], 0)));
  const thick = sums.map((values, r) => ({ values, colour: colours[r], width: 1.8 }));
  addPicture(figure, "Alignment with each component of the target against time"
    + (several ? ": sum over pairs, with each pair thin" : ""), "alignment",
  plotOf(time, [...thin, ...thick], { name: "alignment", xlabel, mayBeLog: false }),
  () => [["time", ...sums.map((_, r) => `component ${r}`)], ...time.map((t, k) => [t, ...sums.map((v) => v[k])])]);
  figure.append(legendOf(colours));
}

function coloursOf(count) {
  if (count <= LINES.length) return LINES.slice(0, count);
  return Array.from({ length: count }, (_, r) => css(viridis((0.85 * r) / (count - 1))));
}

// A legend of the components.
function legendOf(colours) {
  const element = caption("component ");
  colours.forEach((colour, r) => element.append(swatch(colour), `${r} `));
  return element;
}
