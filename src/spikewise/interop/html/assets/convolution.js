"use strict";
/* The sums of a convolution in WebAssembly, whose vectors hold two numbers of double precision. Each output adds what the
   engine's own loop adds to it, in the same order: by channel, row and column of the input. So both have the same bits. */
var Convolution = (() => {
const FOUR = [0, 1, 2, 3], TWO = [0, 1];

/* ---- a module of one function, put together from instructions: WebAssembly core specification 2.0, chapter 5 ---- */
const number = value => { const out = []; for (; value > 127; value >>>= 7) out.push(value & 127 | 128); return [...out, value]; };
const listed = parts => [...number(parts.length), ...parts.flat()];
const named = word => listed([...word].map(letter => letter.charCodeAt(0)));
const section = (id, content) => [id, ...number(content.length), ...content];
const I32 = 0x7f, V128 = 0x7b, END = 0x0b;

/* The bytes of the module. Parameters and `integers` are i32; names stand for their values, numbers below 64 for themselves. */
function assembled(parameters, integers, vectors, body) {
  const names = [...parameters, ...integers, ...vectors], local = one => names.indexOf(one);
  const of = x => typeof x === "string" ? [0x20, local(x)] : typeof x === "number" ? [0x41, x] : x;
  const vector = (code, ...more) => [0xfd, ...number(code), ...more];
  const code = [...listed([[integers.length, I32], [vectors.length, V128]]), ...body({
    put: (to, x) => [...of(x), 0x21, local(to)],
    add: (x, y) => [...of(x), ...of(y), 0x6a],
    less: (x, y) => [...of(x), ...of(y), 0x6b],
    times: (x, y) => [...of(x), ...of(y), 0x6c],
    smaller: (x, y) => [...of(x), ...of(y), ...of(x), ...of(y), 0x48, 0x1b],
    /* Once at least, while the counter comes down to 0. */
    repeat: (count, counter, ...does) => [
      ...of(count), 0x21, local(counter),
      0x03, 0x40, ...does.flat(Infinity), ...of(counter), ...of(1), 0x6b, 0x22, local(counter), 0x0d, 0, END,
    ],
    zero: () => vector(12, ...Array(16).fill(0)),
    twice: address => [...of(address), ...vector(10, 3, 0)],  // a number of 64 bits, in both halves
    pair: (address, offset) => [...of(address), ...vector(0, 3, offset)],
    widened: (address, offset) => [...of(address), ...vector(93, 2, offset), ...vector(95)],  // two of 32 bits
    plus: (x, y) => [...of(x), ...of(y), ...vector(240)],
    product: (x, y) => [...of(x), ...of(y), ...vector(242)],
    rounded: x => [...of(x), ...vector(94)],
    keep: (address, offset, x, lane) => [...of(address), ...of(x), ...vector(90, 2, offset, lane)],
  }).flat(Infinity), END];
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, listed([[0x60, ...listed(parameters.map(() => [I32])), 0]])),
    ...section(3, listed([[0]])),
    ...section(5, listed([[0, 1]])),
    ...section(7, listed([[...named("memory"), 2, 0], [...named("row"), 0, 0]])),
    ...section(10, listed([[...number(code.length), ...code]])),
  ]);
}
/* One row of the output, four columns of four channels at a time, whose sums stay in registers. The last four columns may
   be some of those before them once more. Addresses, and distances in bytes: `plane` and `line` of the input's channels and
   of rows that a kernel meets, `point` of columns that it meets, `stride` of the columns of the output, `level` of the
   output's channels. */
function program() {
  const parameters = ["input", "weights", "bias", "out", "channels", "rows", "columns", "blocks", "fours", "last",
    "plane", "line", "point", "stride", "level"];
  const integers = ["block", "four", "c", "a", "b", "column", "channel", "row", "at", "to", "pixel0", "pixel1", "pixel2", "pixel3"];
  const sums = FOUR.flatMap(p => TWO.map(half => `sum${p}${half}`)), weights = TWO.map(half => `weight${half}`);
  return assembled(parameters, integers, [...sums, ...weights, "value"], ({
    put, add, less, times, smaller, repeat, zero, twice, pair, widened, plus, product, rounded, keep,
  }) => {
    const along = [
      TWO.map(half => put(`weight${half}`, widened("at", 8 * half))), put("at", add("at", 16)),
      FOUR.map(p => [
        put("value", twice(`pixel${p}`)), put(`pixel${p}`, add(`pixel${p}`, "point")),
        TWO.map(half => put(`sum${p}${half}`, plus(`sum${p}${half}`, product("value", `weight${half}`)))),
      ]),
    ];
    const summed = repeat("channels", "c",
      put("row", "channel"),
      repeat("rows", "a",
        put("pixel0", "row"), [1, 2, 3].map(p => put(`pixel${p}`, add(`pixel${p - 1}`, "stride"))),
        repeat("columns", "b", along),
        put("row", add("row", "line"))),
      put("channel", add("channel", "plane")));
    const kept = FOUR.map(o => [
      FOUR.map(p => keep("to", 4 * p, rounded(plus(`sum${p}${o >> 1}`, pair("bias", 16 * (o >> 1)))), o & 1)),
      put("to", add("to", "level")),
    ]);
    return repeat("blocks", "block",
      repeat("fours", "four",
        put("column", smaller(times(less("four", 1), 4), "last")),
        put("channel", add("input", times("column", "stride"))), put("at", "weights"), put("to", add("out", times("column", 4))),
        sums.map(sum => put(sum, zero())), summed, kept),
      put("weights", "at"), put("bias", add("bias", 32)), put("out", add("out", times("level", 4))));
  });
}

/* ---- its memory: the weights of each layer for good, and behind them input and output of the one that is computed ---- */
const PAGE = 65536;
let made = null, used = 16;
function started() {
  if (made) return made;
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(program()));
    return made = { row: exports.row, memory: exports.memory };
  } catch (error) { return made = { row: null }; }  // no WebAssembly here, or none with vectors
}
const vectors = () => started().row !== null;
/* Whether there is so much memory. */
function room(bytes) {
  const lacking = bytes - made.memory.buffer.byteLength;
  try { if (lacking > 0) made.memory.grow(Math.ceil(lacking / PAGE)); } catch (error) { made = { row: null }; }
  return vectors();
}
const aligned = bytes => Math.ceil(bytes / 16) * 16;

/* Where weights and biases lie, and how the input does, with what is around it: at least four columns of outputs. */
function planned(layer) {
  const [channels, height, width] = layer.input, [outputs, rows, columns] = layer.output, [ky, kx] = layer.kernel;
  const [sy, sx] = layer.stride, [py, px] = layer.padding, [dy, dx] = layer.dilation, groups = layer.groups;
  const ins = channels / groups, outs = outputs / groups, blocks = Math.ceil(outs / 4), pitch = Math.max(columns, 4);
  const wide = Math.max((pitch - 1) * sx + (kx - 1) * dx + 1, width + px), high = Math.max((rows - 1) * sy + (ky - 1) * dy + 1, height + py);
  const each = blocks * 4 * ins * ky * kx, weights = aligned(used), bias = aligned(weights + 4 * groups * each);
  used = bias + 8 * groups * blocks * 4;
  if (!room(used)) return null;
  const { buffer } = made.memory, to = new Float32Array(buffer, weights, groups * each), biases = new Float64Array(buffer, bias, 4 * groups * blocks);
  to.fill(0); biases.fill(0);  // another layer's input was there
  for (let o = 0; o < outputs; o++) {
    const g = Math.floor(o / outs), k = o % outs, count = ins * ky * kx;
    if (layer.bias) biases[g * blocks * 4 + k] = layer.bias[o];
    for (let i = 0, at = g * each + (k >> 2) * count * 4 + (k & 3); i < count; i++, at += 4) to[at] = layer.weight[o * count + i];
  }
  return { weights, bias, each, groups, ins, outs, blocks, pitch, wide, high };
}

/* A frame's outputs, put into `out`; false where it can't be done here. */
function convolved(layer, frame, out) {
  const plan = vectors() && (layer.planned = layer.planned || planned(layer));
  if (!plan) return false;
  const { groups, ins, outs, blocks, pitch, wide, high } = plan;
  const [channels, height, width] = layer.input, [, rows, columns] = layer.output, [ky, kx] = layer.kernel;
  const [sy, sx] = layer.stride, [py, px] = layer.padding, [dy, dx] = layer.dilation;
  const input = aligned(used), output = aligned(input + 8 * channels * high * wide), level = rows * pitch;
  if (!room(output + 4 * groups * blocks * 4 * level)) return false;
  const { row, memory: { buffer } } = made, plane = new Float64Array(buffer, input, channels * high * wide);
  if (plane.length === frame.length) plane.set(frame);
  else {
    plane.fill(0);
    for (let c = 0, from = 0; c < channels; c++) for (let y = 0; y < height; y++, from += width)
      plane.set(frame.subarray(from, from + width), (c * high + y + py) * wide + px);
  }
  for (let g = 0; g < groups; g++) for (let y = 0; y < rows; y++)
    row(input + 8 * (g * ins * high + y * sy) * wide, plan.weights + 4 * g * plan.each, plan.bias + 32 * g * blocks,
      output + 4 * (g * blocks * 4 * level + y * pitch), ins, ky, kx, blocks, Math.ceil(pitch / 4), pitch - 4,
      8 * high * wide, 8 * dy * wide, 8 * dx, 8 * sx, 4 * level);
  const found = new Float32Array(buffer, output, groups * blocks * 4 * level);
  for (let g = 0; g < groups; g++) {
    const from = g * blocks * 4 * level, to = g * outs * rows * columns;
    if (pitch === columns) out.set(found.subarray(from, from + outs * level), to);
    else for (let r = 0; r < outs * rows; r++) for (let x = 0; x < columns; x++) out[to + r * columns + x] = found[from + r * pitch + x];
  }
  return true;
}
return { convolved, vectors };
})();
