// Elements, colours, scales and saved files.

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

const svgText = (content, attributes) =>
  svg("text", { "font-size": 10, fill: "currentColor", ...attributes }, String(content));

function caption(text) {
  return make("figcaption", { textContent: text });
}

// ---- colours: viridis, readable with colour blindness and in print; red and blue around a centre ----

const hexes = (list) => list.map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
const VIRIDIS = hexes(["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962",
  "addc30", "fde725"]);
const RED_BLUE = hexes(["053061", "67a9cf", "f7f7f7", "ef8a62", "67001f"]); // blue is below
const GREY = [221, 221, 221];
// For lines: near those of jsuper.plots, with a contrast of 3 or more to both backgrounds.
const LINES = ["#0072B2", "#D55E00", "#008661", "#B0588C", "#3C8FC7", "#A66F00", "#8A6D5A", "#7066C8"];

function along(colours, t) {
  const x = Math.min(Math.max(t, 0), 1) * (colours.length - 1);
  const i = Math.min(Math.floor(x), colours.length - 2);
  return colours[i].map((c, k) => Math.round(c + (x - i) * (colours[i + 1][k] - c)));
}

const css = (colour) => `rgb(${colour})`;
const viridis = (t) => along(VIRIDIS, t);
const redBlue = (v) => css(along(RED_BLUE, (v + 1) / 2)); // of [-1, 1]
// Black or white, whichever has more contrast: at least 4.58, by WCAG's relative luminance.
function inkOn(colour) {
  const [r, g, b] = colour.map((c) => (c <= 10 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

function swatch(colour) {
  const element = make("i", { className: "swatch" });
  element.style.background = colour;
  return element;
}

// ---- scales ----

const WIDE = 30; // ratio of largest to smallest above which a scale is logarithmic
const LEAST = 0.05; // the least range of a scale, relative to its largest number

// Maps numbers to [0, 1] and to colours: logarithmically if all are positive and span more than a
// factor of 30. Outliers do not stretch the scale: it ends at 30 times above and below the median if
// logarithmic, and 3 interquartile ranges beyond the quartiles otherwise; curves, whose heights are
// all that they show, are not cut within a factor of 100. Nearly equal numbers look
// equal: the range is at least 5 % of the largest. A centre makes it symmetric.
function scale(list, centre = null, clipped = true) {
  const sorted = ascending(list);
  if (!sorted.length)
    return { low: NaN, high: NaN, least: NaN, most: NaN, log: false, below: "", above: "", of: () => 0, colour: () => GREY,
      colours: VIRIDIS };
  const [least, most] = [sorted[0], sorted[sorted.length - 1]];
  const log = centre === null && least > 0 && most / least > WIDE;
  const [first, middle, third] = [0.25, 0.5, 0.75].map((q) => quantile(sorted, q));
  const far = clipped ? 3 * (third - first) || Infinity : Infinity, factor = clipped ? WIDE : 100;
  let low = Math.max(least, log ? middle / factor : first - far);
  let high = Math.min(most, log ? middle * factor : third + far);
  const size = LEAST * Math.max(Math.abs(low), Math.abs(high), centre === null ? 0 : 1);
  if (centre !== null) {
    const reach = Math.max(Math.abs(low - centre), Math.abs(high - centre), size);
    [low, high] = [centre - reach, centre + reach];
  } else if (high - low < size) [low, high] = [(low + high - size) / 2, (low + high + size) / 2];
  const f = log ? Math.log : (v) => v;
  const of = (v) => (f(v) - f(low)) / (f(high) - f(low) || 1);
  const colours = centre === null ? VIRIDIS : RED_BLUE;
  return { low, high, least: Math.max(least, low), most: Math.min(most, high), log, of, colours, below: least < low ? "≤ " : "", above: most > high ? "≥ " : "",
    colour: (v) => (Number.isFinite(v) ? along(colours, of(v)) : GREY) };
}

// The scale of a variable over the whole sweep, so that colours mean the same whatever is chosen.
// Cells in which half of the fits failed do not stretch it.
const scales = {};
function scaleOf(name) {
  const spread = !KINDS[state.kind].low;
  return (scales[`${name} ${spread}`] ??= (() => {
    const { median, mean: means, spread: spreads } = aggregatesOf(name);
    const fitted = (list) => data.reasons.length ? list.filter((_, cell) => !mostlyFailed(cell)) : list;
    const list = spread ? fitted(spreads) : [...fitted(median), ...fitted(means)];
    const all = finite(list).length ? list : spread ? spreads : [...median, ...means];
    return scale(all, spread ? null : data.directions[name]?.centre ?? null);
  })());
}

// ---- saved files ----

const quoted = (v) => (/[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v));
const toCsv = (rows) => rows.map((row) => row.map(quoted).join(",") + "\n").join("");

function download(name, text, type) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function svgFile(picture) {
  const copy = picture.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("font-family", "sans-serif");
  copy.setAttribute("style", "color: #000; background: #fff");
  return new XMLSerializer().serializeToString(copy);
}

// Buttons that save a picture and its numbers. Both are made when they are asked for.
function saving(name, { picture, rows }) {
  const file = name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
  const button = (kind, onclick) => make("button", { type: "button", className: "save",
    textContent: kind, "aria-label": `Save ${name} as ${kind}`, onclick });
  return make("span", { className: "saving" },
    ...(picture ? [button("SVG", () => download(`${file}.svg`, svgFile(picture()), "image/svg+xml"))] : []),
    ...(rows ? [button("CSV", () => download(`${file}.csv`, toCsv(rows()), "text/csv"))] : []));
}
