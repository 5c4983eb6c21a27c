"use strict";
/* Images of any origin as the bytes that the network reads: what is resized and greyed here gives the bytes that `predict`
   reads from the same picture, as long as it is opaque and loses nothing in decoding; where it is resized, and in JPEGs, a level may differ. */
const Images = (() => {
const BITS = 22;

/* Bilinear, averaging when it shrinks, in whole numbers: of one channel of bytes. As in Pillow's resampling. */
function resample(pixels, width, height, toWidth, toHeight) {
  const across = width === toWidth ? pixels : along(pixels, width, height, toWidth);
  if (height === toHeight) return across;
  return turned(along(turned(across, toWidth, height), height, toWidth, toHeight), toHeight, toWidth);
}
function turned(pixels, width, height) {
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = pixels[y * width + x];
  return out;
}
function along(pixels, width, height, target) {
  const scale = width / target, reach = Math.max(scale, 1), out = new Uint8Array(target * height);
  for (let x = 0; x < target; x++) {
    const centre = (x + 0.5) * scale, first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach + 0.5), width), weights = [];
    for (let i = first; i < end; i++) weights.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) / reach)));
    const sum = weights.reduce((a, b) => a + b, 0), whole = weights.map(w => Math.trunc(0.5 + w / sum * 2 ** BITS));
    for (let y = 0; y < height; y++) {
      let total = 2 ** (BITS - 1);
      for (let i = 0; i < whole.length; i++) total += pixels[y * width + first + i] * whole[i];
      out[y * target + x] = Math.min(Math.floor(total / 2 ** BITS), 255);
    }
  }
  return out;
}

/* Channels of bytes brought to the network's size: stretched, or in proportion on its ground. */
function sized(channels, width, height, [, rows, columns], reading) {
  if (width === columns && height === rows) return channels;
  if (reading.aspect === "stretch") return channels.map(one => resample(one, width, height, columns, rows));
  const scale = Math.min(columns / width, rows / height), even = x => { const low = Math.floor(x), rest = x - low; return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low; };
  const w = Math.max(1, even(width * scale)), h = Math.max(1, even(height * scale));
  const left = Math.floor((columns - w) / 2), top = Math.floor((rows - h) / 2);
  return channels.map(one => {
    const inner = resample(one, width, height, w, h), out = new Uint8Array(rows * columns).fill(reading.ground);
    for (let y = 0; y < h; y++) out.set(inner.subarray(y * w, (y + 1) * w), (top + y) * columns + left);
    return out;
  });
}
function joined(channels) {
  const out = new Uint8Array(channels.length * channels[0].length);
  channels.forEach((one, c) => out.set(one, c * one.length));
  return out;
}

/* Red, green, blue and opacity of a picture as channels: one of grey, or three. */
function channelsOf(data, count, reading) {
  const planes = [0, 1, 2].map(() => new Uint8Array(data.length / 4));
  let lowest = 255, highest = 0;
  for (let i = 3; i < data.length; i += 4) { lowest = Math.min(lowest, data[i]); highest = Math.max(highest, data[i]); }
  const opaque = lowest === highest && (highest === 0 || highest === 255);
  for (let i = 0; i < planes[0].length; i++) for (let c = 0; c < 3; c++) {
    const alpha = opaque ? 255 : data[4 * i + 3], mixed = data[4 * i + c] * alpha + reading.ground * (255 - alpha) + 128;
    planes[c][i] = ((mixed >> 8) + mixed) >> 8;
  }
  if (count === 3) return planes;
  const [r, g, b] = planes, grey = r.map((_, i) => r[i] === g[i] && g[i] === b[i] ? r[i] : (r[i] * 19595 + g[i] * 38470 + b[i] * 7471 + 32768) >> 16);
  return Array.from({ length: count }, () => grey);
}
const MOST = 16e6;
function pixelsOf(picture, width, height, network, reading) {
  // Beyond what a phone holds, a picture is taken at a smaller size.
  const shrink = Math.min(1, Math.sqrt(MOST / (width * height)));
  const w = Math.max(1, Math.round(width * shrink)), h = Math.max(1, Math.round(height * shrink));
  const canvas = document.createElement("canvas");
  canvas.width = w; canvas.height = h;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0, w, h);
  return joined(sized(channelsOf(pen.getImageData(0, 0, w, h).data, network.image[0], reading), w, h, network.image, reading));
}
async function ofFile(blob, network, reading) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  return pixelsOf(bitmap, bitmap.width, bitmap.height, network, reading);
}

/* A drawing, strokes of points from 0 to 1, centred and scaled as the drawings that the network learned from. */
const FINE = 8;
function ofDrawing(strokes, network, like) {
  const [channels, rows, columns] = network.image, points = strokes.flat();
  const ground = like && like.white ? 255 : 0;
  if (!points.length) return new Uint8Array(channels * rows * columns).fill(ground);
  const xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const box = { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
  const pen = (like ? like.pen : 0.09) * rows, wanted = like ? { w: like.width * columns, h: like.height * rows } : null;
  let scale = rows;
  if (wanted) {
    const across = Math.max(wanted.w - pen, 1) / Math.max(box.right - box.left, 1e-6), down = Math.max(wanted.h - pen, 1) / Math.max(box.bottom - box.top, 1e-6);
    // The taller side decides for what is upright, the broader one for what lies; a dot stays a dot.
    const most = Math.max(wanted.w, wanted.h) - pen;
    scale = Math.min(box.bottom - box.top >= box.right - box.left ? down : across, most / Math.max(box.right - box.left, box.bottom - box.top, 1e-6), 4 * rows);
  }
  const middle = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const place = ([x, y], shift) => [(x - middle[0]) * scale + columns / 2 + shift[0], (y - middle[1]) * scale + rows / 2 + shift[1]];
  let shift = like ? [0, 0] : [(middle[0] - 0.5) * columns, (middle[1] - 0.5) * rows], ink = inked(strokes, shift, place, pen, rows, columns);
  if (like) {
    const mass = centre(ink, rows, columns);
    // By its mass, but not out of the picture.
    const within = (by, side, extent) => { const room = Math.max(0, (side - extent * scale - pen) / 2); return Math.min(room, Math.max(-room, by)); };
    shift = [within(like.right * columns - mass[0], columns, box.right - box.left), within(like.down * rows - mass[1], rows, box.bottom - box.top)];
    ink = inked(strokes, shift, place, pen, rows, columns);
  }
  return joined(Array.from({ length: channels }, () => ground ? ink.map(v => 255 - v) : ink));
}
function inked(strokes, shift, place, width, rows, columns) {
  const canvas = document.createElement("canvas");
  canvas.width = columns * FINE; canvas.height = rows * FINE;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.lineCap = pen.lineJoin = "round"; pen.lineWidth = width * FINE; pen.strokeStyle = "#fff";
  for (const stroke of strokes) {
    pen.beginPath();
    stroke.forEach((point, i) => { const [x, y] = place(point, shift); i ? pen.lineTo(x * FINE, y * FINE) : pen.moveTo(x * FINE, y * FINE); });
    if (stroke.length === 1) { const [x, y] = place(stroke[0], shift); pen.lineTo(x * FINE + 0.01, y * FINE); }
    pen.stroke();
  }
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data, out = new Uint8Array(rows * columns);
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
    let sum = 0;
    for (let a = 0; a < FINE; a++) for (let b = 0; b < FINE; b++) sum += data[4 * ((y * FINE + a) * canvas.width + x * FINE + b) + 3];
    out[y * columns + x] = Math.round(sum / FINE / FINE);
  }
  return out;
}
function centre(ink, rows, columns) {
  let mass = 0, x = 0, y = 0;
  ink.forEach((v, i) => { mass += v; x += v * (i % columns + 0.5); y += v * (Math.floor(i / columns) + 0.5); });
  return mass ? [x / mass, y / mass] : [columns / 2, rows / 2];
}

/* More or less bright pixels at random, the same ones at each strength. */
function noisy(pixels, strength, network) {
  if (!strength) return pixels;
  const drawn = Spikewise.randomBytes(network.seed, 0, 4 * pixels.length, 0x6e6f6973);
  return pixels.map((p, i) => {
    let sum = 0;  // of four uniform numbers: close to normal, with deviation 1 once scaled
    for (let k = 0; k < 4; k++) sum += drawn[4 * i + k] / 255 - 0.5;
    return Math.min(255, Math.max(0, Math.round(p + 255 * strength * sum * Math.sqrt(3))));
  });
}

return { ofFile, ofDrawing, pixelsOf, noisy };
})();
