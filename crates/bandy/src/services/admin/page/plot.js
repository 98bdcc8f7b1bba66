// Plots: series of [time, value] pairs, drawn as SVG. Nothing here knows what the numbers are of.

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, fields = {}, ...inside) {
  const made = document.createElementNS(SVG, name);
  for (const [field, value] of Object.entries(fields)) made.setAttribute(field, value);
  made.append(...inside);
  return made;
}

// The least of 1, 2, 2.5, 5, 10, … units that is no less; a unit is a power of `base`.
function ceiling(value, base) {
  if (!(value > 0)) return 1;
  const unit = base ** Math.max(0, Math.floor(Math.log(value) / Math.log(base)));
  if (unit > 1) return unit * ceiling(value / unit, 1e9);
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= value * 0.9999) * power;
}

// Pieces without gaps: a null value is one.
function pieces(points) {
  const found = [[]];
  for (const point of points) {
    if (point[1] === null) found.push([]);
    else found.at(-1).push(point);
  }
  return found.filter((piece) => piece.length > 0);
}

function path(points, x, y) {
  return points.map(([at, value], i) => `${i ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

function curves(series, x, y, floor) {
  return series.flatMap(({ hue, points }) => pieces(points).flatMap((piece) => {
    const line = path(piece, x, y);
    const area = `${line}L${x(piece.at(-1)[0]).toFixed(1)} ${floor}L${x(piece[0][0]).toFixed(1)} ${floor}Z`;
    return [svg("path", { class: `fill ${hue}`, d: area }), svg("path", { class: `stroke ${hue}`, d: line })];
  }));
}

// A plot with an axis, of the time from `from` to `to`.
export function plot({ series, from, to, format, label, width, base = 1e9 }) {
  const [height, left, right, top, bottom] = [176, 52, 6, 12, 20];
  // A plot of nothing has an axis too.
  const highest = Math.max(base === 1024 ? base : 1, ...series.flatMap(({ points }) => points.map(([, value]) => value ?? 0)));
  const most = ceiling(highest, base);
  const x = (at) => left + ((at - from) / (to - from)) * (width - left - right);
  const y = (value) => height - bottom - (value / most) * (height - top - bottom);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const part of [0, 0.5, 1]) {
    const at = y(most * part);
    drawn.append(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }),
      svg("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, format(most * part)),
    );
  }
  const span = to - from;
  for (const [part, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const ago = Math.round((1 - part) * span / 1000);
    const text = ago ? `−${ago % 60 ? `${ago} s` : `${ago / 60} min`}` : "now";
    drawn.append(svg("text", { x: x(from + span * part), y: height - 4, "text-anchor": anchor }, text));
  }
  drawn.append(...curves(series, x, y, height - bottom));
  return drawn;
}

// A line as high as a word.
export function spark({ hue, points, from, to, label }) {
  const [width, height] = [128, 28];
  const most = Math.max(1e-9, ...points.map(([, value]) => value ?? 0));
  const x = (at) => ((at - from) / (to - from)) * width;
  const y = (value) => height - 2 - (value / most) * (height - 5);
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  drawn.append(svg("line", { class: "grid", x1: 0, x2: width, y1: height - 1, y2: height - 1 }));
  drawn.append(...curves([{ hue, points }], x, y, height - 1));
  return drawn;
}
