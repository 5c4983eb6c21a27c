"use strict";
/* Drawings of what a network does, on canvases; colours are those of the style sheet. */
const Charts = (() => {
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const SERIES = 6;
const colour = i => css(`--series-${i % SERIES + 1}`);
const PLAIN = "12px system-ui, sans-serif", BOLD = `600 ${PLAIN}`;
let palette = {}, longest = 0;
function refresh(names) {
  palette = Object.fromEntries(["surface", "ink", "muted", "grid", "bad", "good"].map(n => [n, css("--" + n)]));
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = BOLD;
  longest = Math.max(...names.map(name => pen.measureText(name).width));
}

/* A canvas as wide as its place, sharp on any screen. */
function open(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = Math.max(canvas.clientWidth, 50);
  canvas.style.height = height + "px";
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = PLAIN; pen.textBaseline = "middle";
  return { pen, width, height };
}
const LEFT = 6, MARGIN = 78, BARS = 12;
/* Beside all charts of a page the same room for names, as many pixels as the longest takes, within a third of the width. */
function axes(width, steps) {
  const right = Math.max(MARGIN, Math.min(Math.ceil(longest) + 14, width / 3)), room = width - LEFT - right;
  const step = px => Math.min(steps - 1, Math.max(0, Math.floor((px - LEFT) / room * steps)));
  return { x: t => LEFT + room * (t + 0.5) / steps, step, room, end: LEFT + room, right, each: room / steps };
}
function cursor(pen, at, height, step) {
  pen.fillStyle = palette.ink; pen.globalAlpha = 0.1;
  pen.fillRect(at.x(step) - at.each / 2, 0, at.each, height);
  pen.globalAlpha = 1;
}

/* Lines over time, one for each class; those that matter in colour, with their names behind them. What differs by less
   than `least` does not fill the height. */
function lines(canvas, { values, steps, count, names, strong, step, marks = [], least = 0, height = 190 }) {
  const { pen, width } = open(canvas, height), at = axes(width, steps), foot = 18, top = 14;
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < steps * count; i++) { const v = values[i]; if (v < low) low = v; if (v > high) high = v; }
  if (!(high > low)) { high = low + 1; }
  const short = Math.max(0, least - (high - low)) / 2; low -= short; high += short;
  const y = v => top + (height - foot - top) * (1 - (v - low) / (high - low));
  cursor(pen, at, height - foot, step);
  pen.strokeStyle = palette.grid; pen.lineWidth = 1;
  if (low < 0 && high > 0) { pen.beginPath(); pen.moveTo(LEFT, y(0)); pen.lineTo(at.end, y(0)); pen.stroke(); }
  for (const mark of marks) {
    const x = at.x(mark.step);
    pen.setLineDash([3, 3]); pen.strokeStyle = palette.muted;
    pen.beginPath(); pen.moveTo(x, 12); pen.lineTo(x, height - foot); pen.stroke(); pen.setLineDash([]);
    pen.fillStyle = palette.muted; pen.textAlign = x > width * 0.55 ? "right" : "left";
    pen.fillText(mark.text, x + (x > width * 0.55 ? -5 : 5), 7);
  }
  const order = [...Array(count).keys()].sort((a, b) => strong.indexOf(a) - strong.indexOf(b));
  const labels = [];
  for (const i of order) {
    const rank = strong.indexOf(i);
    pen.strokeStyle = rank < 0 ? palette.muted : colour(rank); pen.globalAlpha = rank < 0 ? 0.3 : 1; pen.lineWidth = rank < 0 ? 1 : rank ? 1.75 : 2.5;
    pen.beginPath();
    for (let t = 0; t <= step; t++) t ? pen.lineTo(at.x(t), y(values[t * count + i])) : pen.moveTo(at.x(0), y(values[i]));
    pen.stroke();
    if (rank >= 0) { pen.beginPath(); pen.fillStyle = colour(rank); pen.arc(at.x(step), y(values[step * count + i]), rank ? 2.5 : 3.5, 0, 7); pen.fill(); }
    pen.globalAlpha = 1;
    if (rank >= 0) labels.push({ text: names[i], y: y(values[step * count + i]), colour: colour(rank), bold: !rank });
  }
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((one, i) => { if (i) one.y = Math.max(one.y, labels[i - 1].y + 14); });
  const over = labels.length ? Math.max(0, labels[labels.length - 1].y - (height - foot - 6)) : 0;
  for (const one of labels) {
    pen.fillStyle = one.colour; pen.textAlign = "left"; pen.font = one.bold ? BOLD : PLAIN;
    pen.fillText(clipped(pen, one.text, at.right - 12), at.x(step) + Math.min(at.each / 2, 6) + 6, one.y - over);
  }
  stepLabels(pen, at, height, steps);
  return { hit: at.step };
}
/* Where there is one step: a bar for each class, from zero; of many classes those with the most evidence. */
function bars(canvas, { values, names, strong }) {
  const most = [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, BARS).sort((a, b) => a - b), row = 24;
  const { pen, width } = open(canvas, row * most.length), left = Math.min(Math.ceil(longest) + 10, width / 3), right = 56;
  const low = Math.min(0, ...most.map(i => values[i])), high = Math.max(0, ...most.map(i => values[i])), span = high - low || 1;
  const room = width - left - right - (low < 0 ? right : 0), x = v => width - right - room * (high - v) / span;
  most.forEach((i, at) => {
    const y = row * (at + 0.5), rank = strong.indexOf(i), v = values[i];
    pen.font = rank ? PLAIN : BOLD; pen.textAlign = "left"; pen.fillStyle = rank < 0 ? palette.muted : palette.ink;
    pen.fillText(clipped(pen, names[i], left - 8), 0, y);
    pen.fillStyle = rank < 0 ? palette.muted : colour(rank); pen.globalAlpha = rank < 0 ? 0.4 : 1;
    pen.fillRect(Math.min(x(0), x(v)), y - 7, Math.max(1, Math.abs(x(v) - x(0))), 14);
    pen.globalAlpha = 1; pen.fillStyle = palette.muted; pen.textAlign = v < 0 ? "right" : "left"; pen.font = PLAIN;
    pen.fillText(v.toPrecision(3), x(v) + (v < 0 ? -6 : 6), y);
  });
  pen.fillStyle = palette.grid; pen.fillRect(x(0) - 0.5, 0, 1, row * most.length);
}
function clipped(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  while (text && pen.measureText(text + "…").width > room) text = text.slice(0, -1);
  return text + "…";
}
function stepLabels(pen, at, height, steps) {
  pen.fillStyle = palette.muted; pen.textAlign = "center"; pen.font = "11px system-ui, sans-serif";
  const most = Math.max(2, Math.floor(at.room / 40)), every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find(n => steps / n <= most) || steps;
  pen.textAlign = "left"; pen.fillText("step", at.x(steps - 1) + at.each / 2 + 8, height - 7); pen.textAlign = "center";
  for (let t = 0; t < steps; t++) if (t === 0 && (every > 2 || every === 1) || (t + 1) % every === 0) pen.fillText(String(t + 1), at.x(t), height - 7);
}

/* One row for each neuron, one column for each step; spikes beyond the cursor are pale. Neurons that share a row of pixels
   share its shade: the darker, the more of them spike. */
function raster(canvas, { spikes, steps, count, step, chosen, dead, name, hue = 0 }) {
  const row = Math.max(count <= 24 ? 7 : 1, Math.min(3, 190 / count)), body = Math.max(36, Math.min(230, row * count)), foot = 18;
  const { pen, width, height } = open(canvas, body + foot), at = axes(width, steps), each = body / count;
  cursor(pen, at, body, step);
  pen.fillStyle = palette.bad; pen.globalAlpha = 0.13;
  for (let i = 0; dead && i < count; i++) if (dead[i]) pen.fillRect(LEFT, i * each, at.room, Math.max(each, 1));
  pen.fillStyle = colour(hue);
  const rows = Math.min(count, Math.floor(body)), tall = Math.max(body / rows * (count <= 60 ? 0.8 : 1), 1);
  const sums = new Float64Array(rows), held = new Float64Array(rows), rowOf = i => Math.floor(i * rows / count);
  for (let i = 0; i < count; i++) held[rowOf(i)]++;
  for (let t = 0; t < steps; t++) {
    sums.fill(0);
    for (let i = 0; i < count; i++) if (spikes[t * count + i]) sums[rowOf(i)]++;
    for (let r = 0; r < rows; r++) if (sums[r]) {
      pen.globalAlpha = (t <= step ? 1 : 0.18) * Math.sqrt(sums[r] / held[r]);
      pen.fillRect(LEFT + t * at.each + Math.min(1, at.each / 6), r * body / rows, Math.max(at.each - Math.min(2, at.each / 3), 1), tall);
    }
  }
  pen.globalAlpha = 1;
  if (chosen !== null && chosen !== undefined) {
    pen.strokeStyle = palette.ink; pen.lineWidth = 1;
    pen.strokeRect(LEFT - 2.5, chosen * each - 1.5, at.room + 5, Math.max(each, 1) + 3);
    pen.fillStyle = palette.ink; pen.textAlign = "left"; pen.font = "11px system-ui, sans-serif";
    pen.fillText(`neuron ${chosen}`, at.end + 8, Math.min(Math.max(chosen * each + each / 2, 6), body - 6));
  }
  stepLabels(pen, at, height, steps);
  return { hit: (x, y) => ({ neuron: Math.min(count - 1, Math.max(0, Math.floor(y / each))), step: at.step(x) }) };
}

/* Maps, one for each channel, side by side: how often each place has spiked so far. */
function maps(canvas, { spikes, shape, steps, step, chosen, dead, hue = 0 }) {
  const [channels, rows, columns] = shape, plane = rows * columns, room = Math.max(canvas.clientWidth, 50);
  const most = channels === 1 ? 180 : room < 500 ? 54 : 84;  // six in a row of a phone
  const wish = Math.max(channels === 1 ? 128 : 48, Math.min(most, 3 * columns)), across = Math.max(1, Math.floor((room + 6) / (wish + 6)));
  const w = Math.min(wish, room), h = w * rows / columns, down = Math.ceil(channels / across);
  const { pen } = open(canvas, down * (h + 6) - 6), tile = document.createElement("canvas");
  tile.width = columns; tile.height = rows;
  const brush = tile.getContext("2d"), picture = brush.createImageData(columns, rows), [r, g, b] = rgb(colour(hue)), bad = rgb(palette.bad), paper = rgb(palette.grid);
  pen.imageSmoothingEnabled = false;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < plane; i++) {
      let sum = 0;
      for (let t = 0; t <= step; t++) sum += Math.abs(spikes[(t * channels + c) * plane + i]);
      const now = spikes[(step * channels + c) * plane + i] ? 1 : 0, share = Math.min(1, 0.15 * now + sum / (step + 1));
      const to = dead && dead[c * plane + i] && !sum ? bad : [r, g, b], part = to === bad ? 0.35 : share;
      for (let k = 0; k < 3; k++) picture.data[4 * i + k] = paper[k] + (to[k] - paper[k]) * part;
      picture.data[4 * i + 3] = 255;
    }
    brush.putImageData(picture, 0, 0);
    const x = (c % across) * (w + 6), y = Math.floor(c / across) * (h + 6);
    pen.drawImage(tile, x, y, w, h);
    if (chosen !== null && chosen !== undefined && Math.floor(chosen / plane) === c) {
      const at = chosen % plane, px = w / columns, py = h / rows;
      pen.strokeStyle = palette.ink; pen.lineWidth = 1.5;
      pen.strokeRect(x + (at % columns) * px - 1, y + Math.floor(at / columns) * py - 1, px + 2, py + 2);
    }
  }
  return { hit: (px, py) => {
    const column = Math.floor(px / (w + 6)), line = Math.floor(py / (h + 6)), c = line * across + column;
    const x = Math.floor((px - column * (w + 6)) / w * columns), y = Math.floor((py - line * (h + 6)) / h * rows);
    return c < channels && column < across && x < columns && y < rows ? { neuron: c * plane + y * columns + x } : null;
  } };
}
function rgb(text) { const n = parseInt(text.slice(1), 16); return [n >> 16 & 255, n >> 8 & 255, n & 255]; }

/* The membrane of one neuron, with its threshold and its spikes. */
function trace(canvas, { membrane, spikes, steps, step, threshold, height = 150 }) {
  const { pen, width } = open(canvas, height), at = axes(width, steps), foot = 18, top = 12;
  let low = Math.min(0, ...membrane), high = Math.max(threshold === null ? -Infinity : threshold, ...membrane);
  if (!(high > low)) high = low + 1;
  const y = v => top + (height - foot - top) * (1 - (v - low) / (high - low));
  cursor(pen, at, height - foot, step);
  if (threshold !== null) {
    pen.strokeStyle = palette.muted; pen.setLineDash([4, 4]); pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(LEFT, y(threshold)); pen.lineTo(at.end, y(threshold)); pen.stroke(); pen.setLineDash([]);
    pen.fillStyle = palette.muted; pen.textAlign = "left"; pen.fillText("threshold", at.end + 8, y(threshold));
  }
  pen.strokeStyle = colour(0); pen.lineWidth = 2; pen.beginPath();
  membrane.forEach((v, t) => { t ? pen.lineTo(at.x(t), y(v)) : pen.moveTo(at.x(t), y(v)); });
  pen.stroke();
  pen.fillStyle = colour(1);
  if (spikes) spikes.forEach((n, t) => { if (n) { pen.beginPath(); pen.arc(at.x(t), y(membrane[t]), 3.5, 0, 7); pen.fill(); } });
  stepLabels(pen, at, height, steps);
}

/* Numbers as an image: blue above zero, orange below, the ground at zero. */
function weights(canvas, values, rows, columns) {
  canvas.width = columns; canvas.height = rows;
  const most = values.reduce((a, v) => Math.max(a, Math.abs(v)), 1e-12), brush = canvas.getContext("2d"), picture = brush.createImageData(columns, rows);
  const up = rgb(colour(0)), down = rgb(colour(1)), paper = rgb(palette.surface);
  values.forEach((v, i) => {
    const to = v > 0 ? up : down, share = Math.sqrt(Math.abs(v) / most);
    for (let k = 0; k < 3; k++) picture.data[4 * i + k] = paper[k] + (to[k] - paper[k]) * share;
    picture.data[4 * i + 3] = 255;
  });
  brush.putImageData(picture, 0, 0);
}
/* Pixels as they are: grey or in colour. */
function picture(canvas, pixels, [channels, rows, columns]) {
  canvas.width = columns; canvas.height = rows;
  const brush = canvas.getContext("2d"), data = brush.createImageData(columns, rows), plane = rows * columns;
  for (let i = 0; i < plane; i++) {
    for (let k = 0; k < 3; k++) data.data[4 * i + k] = pixels[(channels === 3 ? k : 0) * plane + i];
    data.data[4 * i + 3] = 255;
  }
  brush.putImageData(data, 0, 0);
}
return { BARS, refresh, lines, bars, raster, maps, trace, weights, picture, colour };
})();
