// The controls, and the first drawing.

function choice(label, names, current, onpick) {
  const select = make("select", { onchange: () => onpick(select.selectedIndex) },
    ...names.map((name) => make("option", { textContent: name })));
  select.selectedIndex = current;
  return make("label", {}, `${label} `, select);
}

function draw() {
  drawMaps();
  drawCurves();
  drawTable();
}

// Selects of the axes of rows, columns and parts, of the other axes' positions, and of what is drawn.
function showControls() {
  const names = dims.map((axis) => axis.name);
  const places = [down, across, parts].map((axis) => dims.indexOf(axis));
  const again = () => {
    showControls();
    draw();
  };
  // An axis that already has a place changes places with the one that it takes the place of.
  const pick = (label, own, options, offset) => choice(label, options, places[own] + offset, (k) => {
    const next = [...places], taken = places.indexOf(k - offset);
    if (taken >= 0) next[taken] = places[own];
    next[own] = k - offset;
    const spare = dims.findIndex((_, axis) => !next.includes(axis));
    if (next[0] !== places[0]) state.sort = "as given"; // the order of another axis
    orient(...next.map((axis, role) => (axis < 0 && role < 2 ? spare : axis)));
    again();
  });
  const placeOf = (axis) => {
    const k = dims.indexOf(axis);
    return choice(axis.name, axis.values, state.at[k], (value) => {
      state.at[k] = value;
      draw();
    });
  };
  const one = (label, key, options, redraw) => choice(label, options, options.indexOf(state[key]), (k) => {
    state[key] = options[k];
    redraw();
  });
  const sorts = ["as given", "by name", ...(data.groups[down.name] ? ["by family"] : []),
    ...shown.map((name) => `by ${name}`)];
  document.getElementById("controls").replaceChildren(
    pick("rows", 0, names, 0), pick("columns", 1, names, 0),
    ...(dims.length > 2 ? [pick("side by side", 2, ["nothing", ...names], 1)] : []),
    ...further.filter((axis) => axis.values.length > 1).map(placeOf),
    one("show", "kind", Object.keys(KINDS), draw),
    ...(down.values.length > 1 ? [one("sort rows", "sort", sorts, draw)] : []),
    one("curves of", "curve", shown, drawCurves),
    ...(down.values.length > 1 ? [choice("in", ["a panel each", "one panel"], Number(state.together), (k) => {
      state.together = k === 1;
      drawCurves();
    })] : []));
}

showControls();
draw();
openLinked();
window.onhashchange = openLinked;
