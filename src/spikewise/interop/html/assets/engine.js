"use strict";
/* Runs a network of Spikewise on one image: what reaches a neuron is summed spike by spike, in double precision, and
   rounded once to 32 bits; everything after that is computed in 32 bits, operation for operation as in the package. */
var Spikewise = (() => {
const f = Math.fround;
const size = shape => shape.reduce((a, b) => a * b, 1);

/* ---- numbers that stand as text: seven bits in each character; where that is one that a page cannot hold, it and the
   next stand in one character beyond ASCII ---- */
function opened(text) {
  const bytes = new Uint8Array(Math.ceil(text.length * 7 / 4)), forbidden = [0, 13, 60];
  let held = 0, bits = 0, to = 0;
  function take(seven) {
    held = held << 7 | seven; bits += 7;
    if (bits >= 8) { bits -= 8; bytes[to++] = held >> bits; held &= (1 << bits) - 1; }
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 128) take(forbidden[code - 128 >> 7]);
    take(code & 127);
  }
  return bytes;
}
/* An array: symbols in a canonical Huffman code; floats have their exponents in it, or are multiples of a step. */
function unpacked(bytes, { at, count, exact, step }) {
  const word = () => { at += 2; return bytes[at - 2] | bytes[at - 1] << 8; };
  const many = Array.from({ length: bytes[at++] }, word), symbols = new Uint16Array(count);
  const kinds = Array.from({ length: many.reduce((a, b) => a + b, 0) }, word);
  let bit = 8 * at;
  for (let i = 0; i < count; i++) {
    let code = 0, first = 0, before = 0;
    for (let length = 0; ; length++) {
      code += bytes[bit >> 3] >> 7 - (bit & 7) & 1; bit++;
      if (code - first < many[length]) { symbols[i] = kinds[before + code - first]; break; }
      before += many[length]; first = 2 * (first + many[length]); code *= 2;
      if (length > many.length) throw new Error("its numbers are damaged");
    }
  }
  if (step) return Float32Array.from(symbols, symbol => (symbol - 32768) * step);
  if (!exact) return Uint8Array.from(symbols);
  const words = new Uint32Array(count);
  for (let i = 0, from = bit + 7 >> 3; i < count; i++, from += 3)
    words[i] = bytes[from] | bytes[from + 1] << 8 | (bytes[from + 2] & 127) << 16 | symbols[i] << 23 | bytes[from + 2] >> 7 << 31;
  return new Float32Array(words.buffer);
}

/* A value of each feature, from one number, or from one of each channel. */
function spread(value, count) {
  if (typeof value === "number") return new Float32Array(count).fill(value);
  const each = count / value.length, out = new Float32Array(count);
  for (let i = 0; i < count; i++) out[i] = value[Math.floor(i / each)];
  return out;
}

/* Brings a network as it stands in the file into the form in which it runs: weights ordered by the input they come from. */
function load(network, bytes) {
  for (const layer of network.layers) {
    for (const part of [layer, layer.parameters || {}])
      for (const key in part) if (part[key] && part[key].count !== undefined) part[key] = unpacked(bytes, part[key]);
    if (layer.kind === "linear") layer.rows = transposed(layer.weight, size(layer.output), size(layer.input));
    if (layer.kind === "conv2d") layer.rows = byInput(layer);
    if (layer.recurrent) layer.feedback = transposed(layer.recurrent, size(layer.output), size(layer.output));
  }
  return network;
}
function transposed(weight, rows, columns) {
  const out = new Float32Array(weight.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = weight[r * columns + c];
  return out;
}
/* [out, in / groups, y, x] as [in, y, x, out / groups]. */
function byInput(layer) {
  const [ky, kx] = layer.kernel, groups = layer.groups, outs = layer.output[0] / groups, ins = layer.input[0] / groups;
  const out = new Float32Array(layer.weight.length);
  for (let g = 0; g < groups; g++) for (let o = 0; o < outs; o++) for (let i = 0; i < ins; i++)
    for (let y = 0; y < ky; y++) for (let x = 0; x < kx; x++)
      out[(((g * ins + i) * ky + y) * kx + x) * outs + o] = layer.weight[(((g * outs + o) * ins + i) * ky + y) * kx + x];
  return out;
}

/* ---- random numbers. Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 ---- */
function high(a, b) {
  const al = a & 65535, ah = a >>> 16, bl = b & 65535, bh = b >>> 16;
  const middle = ah * bl + ((al * bl) / 65536 >>> 0), rest = al * bh + middle % 65536;
  return (ah * bh + Math.floor(middle / 65536) + Math.floor(rest / 65536)) >>> 0;
}
/* Bytes 0..count of one step, as `predict` draws them for every image. */
function randomBytes(seed, step, count, stream = 0) {
  const out = new Uint8Array(count);
  for (let block = 0; block * 16 < count; block++) {
    let c0 = block, c1 = step, c2 = 0, c3 = 0, k0 = seed[0], k1 = (seed[1] ^ stream) >>> 0;
    for (let round = 0; round < 10; round++) {
      const h0 = high(c0, 0xD2511F53), l0 = Math.imul(c0, 0xD2511F53), h1 = high(c2, 0xCD9E8D57), l1 = Math.imul(c2, 0xCD9E8D57);
      c0 = (h1 ^ c1 ^ k0) >>> 0; c1 = l1 >>> 0; c2 = (h0 ^ c3 ^ k1) >>> 0; c3 = l0 >>> 0;
      k0 = (k0 + 0x9E3779B9) >>> 0; k1 = (k1 + 0xBB67AE85) >>> 0;
    }
    [c0, c1, c2, c3].forEach((word, w) => {
      for (let b = 0; b < 4; b++) { const at = block * 16 + 4 * w + b; if (at < count) out[at] = word >>> (8 * b); }
    });
  }
  return out;
}

/* Those of a network's encoder, which are the same for every image. */
function kept(network, step, count) {
  network.drawn = network.drawn || [];
  return network.drawn[step] = network.drawn[step] || randomBytes(network.seed, step, count);
}

/* ---- encoders: frames of spikes or currents, one for each step, or one for all ---- */
function encode(network, pixels, steps) {
  const encoder = network.encoder, count = pixels.length;
  if (encoder.kind === "direct") {
    const plane = network.image[1] * network.image[2], means = encoder.mean, deviations = encoder.deviation;
    const of = (list, c) => f(list[list.length === 1 ? 0 : c]);
    const frames = Float32Array.from(pixels, (p, i) => {
      const x = f(p / 255), c = Math.floor(i / plane);
      return means.length ? f(f(x - of(means, c)) / of(deviations, c)) : x;
    });
    return { frames, constant: true, size: count };
  }
  if (encoder.kind === "delta") return deltas(network, pixels, steps);
  const frames = new Float32Array(steps * count), first = encoder.first;
  for (let t = 0; t < steps; t++) {
    const drawn = encoder.kind === "rate" ? kept(network, t, count) : null;
    for (let i = 0; i < count; i++) {
      const p = pixels[i];
      let sent;
      if (drawn) sent = drawn[i] < p + (p >= 128 ? 1 : 0);
      else if (encoder.kind === "latency") sent = first[p] === t;
      else sent = t > 0 && t % Math.min(Math.max(first[p], 1), Math.max(steps - 1, 1)) === 0;
      if (sent) frames[t * count + i] = 1;
    }
  }
  return { frames, constant: false, size: count };
}
function halfEven(x) {
  const low = Math.floor(x), rest = x - low;
  return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
}
function deltas(network, pixels, steps) {
  const { amplitude, threshold } = network.encoder, [channels, height, width] = network.image, count = pixels.length;
  const corners = [[0, 0], [amplitude, amplitude], [0, 2 * amplitude], [0, 0]], limit = f(threshold);
  const frames = new Float32Array(steps * 2 * count), x = Float32Array.from(pixels, p => f(p / 255));
  let before = new Float32Array(count);
  for (let t = 0; t < steps; t++) {
    const along = 3 * t / steps, edge = Math.floor(along), part = along - edge;
    const [down, right] = [0, 1].map(k => halfEven(corners[edge][k] + part * (corners[edge + 1][k] - corners[edge][k])));
    const now = new Float32Array(count);
    for (let c = 0; c < channels; c++) for (let y = down; y < height; y++) for (let z = right; z < width; z++)
      now[(c * height + y) * width + z] = x[(c * height + y - down) * width + z - right];
    for (let i = 0; i < count; i++) {
      const change = f(now[i] - before[i]);
      if (change > limit) frames[2 * t * count + i] = 1;
      if (change < -limit) frames[(2 * t + 1) * count + i] = 1;
    }
    before = now;
  }
  return { frames, constant: false, size: 2 * count };
}

/* ---- layers that treat every frame by itself ---- */
const FUNCTIONS = {
  relu: x => x > 0 ? x : 0,
  leaky_relu: x => x > 0 ? x : f(x * f(0.01)),
  sigmoid: x => f(1 / (1 + Math.exp(-x))),
  tanh: x => f(Math.tanh(x)),
  softplus: x => x > 20 ? x : f(Math.log1p(Math.exp(x))),
  gelu: x => f(0.5 * x * (1 + erf(x / Math.SQRT2))),
};
function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  let term = a, sum = a;  // Abramowitz and Stegun, 7.1.6: every term is positive
  for (let n = 1; term > sum * 1e-17; n++) { term *= 2 * a * a / (2 * n + 1); sum += term; }
  return Math.sign(x) * 2 / Math.sqrt(Math.PI) * Math.exp(-a * a) * sum;
}
function overFrames(x, count, work) {
  const out = new Float32Array(x.frames.length / x.size * count);
  for (let at = 0; at * x.size < x.frames.length; at++)
    work(x.frames.subarray(at * x.size, (at + 1) * x.size), out.subarray(at * count, (at + 1) * count));
  return { frames: out, constant: x.constant, size: count };
}
const pointwise = (x, work) => ({ ...x, frames: x.frames.map(work) });

function events(layer, value) {
  return layer.carrier === "multispikes" ? Math.round(Math.abs(f(value / layer.quantum))) : value === 0 ? 0 : 1;
}
function linear(layer, x, count) {
  const outs = size(layer.output), sums = new Float64Array(outs), rows = layer.rows;
  return overFrames(x, outs, (frame, out) => {
    sums.fill(0);
    for (let i = 0; i < frame.length; i++) {
      const value = frame[i];
      if (value === 0) continue;
      const n = events(layer, value);
      count.arrived += n; count.synapses += n * outs;
      for (let o = 0, at = i * outs; o < outs; o++, at++) sums[o] += rows[at] * value;
    }
    for (let o = 0; o < outs; o++) out[o] = layer.bias ? sums[o] + layer.bias[o] : sums[o];
  });
}
function conv2d(layer, x, count) {
  const [inputs, height, width] = layer.input, [outputs, rows, columns] = layer.output, groups = layer.groups;
  const [ky, kx] = layer.kernel, [sy, sx] = layer.stride, [py, px] = layer.padding, [dy, dx] = layer.dilation;
  const outs = outputs / groups, ins = inputs / groups, sums = new Float64Array(size(layer.output)), plane = rows * columns;
  return overFrames(x, sums.length, (frame, out) => {
    sums.fill(0);  // [y, x, channel], so that what one spike adds lies side by side
    for (let at = 0; at < frame.length; at++) {
      const value = frame[at];
      if (value === 0) continue;
      const c = Math.floor(at / (height * width)), y = Math.floor(at / width) % height, z = at % width;
      const group = Math.floor(c / ins), n = events(layer, value);
      count.arrived += n;
      for (let a = 0; a < ky; a++) {
        const down = y + py - a * dy, row = down / sy;
        if (down < 0 || row >= rows || down % sy) continue;
        for (let b = 0; b < kx; b++) {
          const right = z + px - b * dx, column = right / sx;
          if (right < 0 || column >= columns || right % sx) continue;
          count.synapses += n * outs;
          let from = ((c * ky + a) * kx + b) * outs, to = (row * columns + column) * outputs + group * outs;
          for (let o = 0; o < outs; o++) sums[to++] += layer.rows[from++] * value;
        }
      }
    }
    for (let o = 0; o < outputs; o++) for (let i = 0; i < plane; i++)
      out[o * plane + i] = layer.bias ? sums[i * outputs + o] + layer.bias[o] : sums[i * outputs + o];
  });
}
function pool(layer, x) {
  const [channels, height, width] = layer.input, [, rows, columns] = layer.output;
  const [ky, kx] = layer.kernel, [sy, sx] = layer.stride, [py, px] = layer.padding, largest = layer.kind === "max_pool";
  const area = layer.kind === "avg_pool" ? ky * kx : 1;
  return overFrames(x, size(layer.output), (frame, out) => {
    for (let c = 0, to = 0; c < channels; c++) for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      let found = largest ? -Infinity : 0;
      for (let y = Math.max(row * sy - py, 0); y < Math.min(row * sy - py + ky, height); y++)
        for (let z = Math.max(column * sx - px, 0); z < Math.min(column * sx - px + kx, width); z++) {
          const value = frame[(c * height + y) * width + z];
          found = largest ? Math.max(found, value) : found + value;
        }
      out[to++] = largest ? found : f(found) / area;
    }
  });
}
function globalMean(layer, x) {
  const plane = layer.input[1] * layer.input[2];
  return overFrames(x, layer.input[0], (frame, out) => {
    for (let c = 0; c < out.length; c++) {
      let sum = 0;
      for (let i = 0; i < plane; i++) sum += frame[c * plane + i];
      out[c] = f(sum) / plane;
    }
  });
}
function scaled(layer, x) {
  const scale = spread(layer.scale, x.size), shift = spread(layer.shift, x.size);
  return pointwise(x, (value, i) => f(value * scale[i % x.size]) + shift[i % x.size]);
}
function quantised(layer, x) {
  const threshold = spread(layer.threshold, x.size), levels = layer.levels;
  return pointwise(x, (value, i) => {
    const limit = threshold[i % x.size], count = Math.ceil(f(f(f(value * levels) / limit) - 0.5));
    return f(Math.min(Math.max(count, 0), levels) / levels) * limit;
  });
}
function added(x, y, steps) {
  const constant = x.constant && y.constant, frames = new Float32Array((constant ? 1 : steps) * x.size);
  for (let i = 0; i < frames.length; i++) frames[i] = x.frames[x.constant ? i % x.size : i] + y.frames[y.constant ? i % x.size : i];
  return { frames, constant, size: x.size };
}

/* ---- neurons: see the package's docs for their equations ---- */
function resetting(layer, v, z, threshold) {
  if (layer.reset === "none") return v;
  return layer.reset === "subtract" ? f(v - f(threshold * z)) : f(v * f(1 - z));
}
/* Each gets (state, i, current, threshold, t) and gives the membrane; `s.z[i]` is the spike, before and after. */
const STEPS = {
  lif(layer, p, s, i, current) { return fire(layer, s, i, f(f(p.beta[i] * s.v[i]) + current), p.threshold[i], p.threshold[i]); },
  cuba_lif(layer, p, s, i, current) {
    s.a[i] = f(f(p.alpha[i] * s.a[i]) + current);
    return fire(layer, s, i, f(f(p.beta[i] * s.v[i]) + s.a[i]), p.threshold[i], p.threshold[i]);
  },
  alif(layer, p, s, i, current) {
    s.a[i] = f(f(p.adaptation_decay[i] * s.a[i]) + s.z[i]);
    const limit = f(p.threshold[i] + f(p.adaptation[i] * s.a[i]));
    return fire(layer, s, i, f(f(p.beta[i] * s.v[i]) + current), p.threshold[i], limit);
  },
  two_phase_if(layer, p, s, i, current, t) {
    const within = start => t >= start && t < start + layer.phase ? 1 : 0, threshold = p.threshold[i];
    const v = f(s.v[i] + f(current * within(layer.listens_from)));
    s.z[i] = v > threshold && !s.dead[i] ? within(layer.fires_from) : 0;
    s.v[i] = f(v - f(threshold * s.z[i]));
    return v;
  },
  izhikevich(layer, p, s, i, current) {
    const n = layer.constants, v = s.v[i], u = s.a[i], above = f(v - n.v_rest);
    const drift = f(f(f(f(n.k * above) * f(v - n.v_threshold)) - u) + f(p.gain[i] * current));
    let moved = s.z[i] > 0 ? n.c : f(v + f(n.rate * drift));
    s.a[i] = f(f(u + f(n.recovery * f(f(n.b * above) - u))) + f(n.d * s.z[i]));
    moved = Math.min(moved, n.ceiling);
    s.z[i] = moved > n.v_peak && !s.dead[i] ? 1 : 0;
    return s.v[i] = moved;
  },
};
function fire(layer, s, i, v, threshold, limit) {
  if (layer.reset_delay) v = resetting(layer, v, s.z[i], threshold);
  s.z[i] = v > limit && !s.dead[i] ? 1 : 0;
  s.v[i] = layer.reset_delay ? v : resetting(layer, v, s.z[i], threshold);
  return v;
}
function neurons(layer, x, steps, count, change) {
  const n = x.size, p = {}, s = { v: new Float32Array(n), z: new Float32Array(n), a: new Float32Array(n) };
  s.dead = change.dead[layer.name] || new Uint8Array(n);
  for (const key in layer.parameters) p[key] = spread(layer.parameters[key], n);
  if (p.threshold && change.threshold !== 1) p.threshold = p.threshold.map(value => value * change.threshold);
  if (layer.rest) s.v.fill(layer.rest);
  if (layer.initial) s.v = p.threshold.map(value => f(layer.initial) * value);
  const membranes = new Float32Array(steps * n), spikes = new Float32Array(steps * n), step = STEPS[layer.model];
  const back = new Float64Array(layer.feedback ? n : 0);
  for (let t = 0; t < steps; t++) {
    const frame = x.constant ? 0 : t * n;
    if (layer.feedback) fedBack(layer, s.z, back, count);
    for (let i = 0; i < n; i++) {
      const current = layer.feedback ? f(x.frames[frame + i] + f(back[i])) : x.frames[frame + i];
      membranes[t * n + i] = step(layer, p, s, i, current, t);
    }
    spikes.set(s.z, t * n);
  }
  return { out: { frames: spikes, constant: false, size: n }, membranes, spikes };
}
function fedBack(layer, z, back, count) {
  back.fill(0);
  for (let j = 0; j < z.length; j++) {
    if (!z[j]) continue;
    count.arrived++; count.synapses += layer.reached;
    for (let i = 0, at = j * z.length; i < back.length; i++, at++) back[i] += layer.feedback[at];
  }
}
function integrated(x, steps, decay) {
  const beta = spread(decay, x.size), out = new Float32Array(steps * x.size), v = new Float32Array(x.size);
  for (let t = 0; t < steps; t++) for (let i = 0; i < x.size; i++)
    out[t * x.size + i] = v[i] = f(beta[i] * v[i]) + x.frames[(x.constant ? 0 : t * x.size) + i];
  return out;
}
/* Rates carried by spikes: n / dt, of which a remainder stays. */
function carried(layer, x, steps, change) {
  const n = x.size, dt = f(layer.dt), work = FUNCTIONS[layer.function], dead = change.dead[layer.name] || [];
  const v = layer.start ? layer.start.slice() : new Float32Array(n);
  const out = new Float32Array(steps * n), spikes = new Float32Array(steps * n), membranes = new Float32Array(steps * n);
  for (let t = 0; t < steps; t++) for (let i = 0; i < n; i++) {
    const full = f(f(work(x.frames[(x.constant ? 0 : t * n) + i]) * dt) + v[i]), whole = dead[i] ? 0 : Math.floor(full);
    v[i] = full - whole;
    membranes[t * n + i] = full;
    out[t * n + i] = whole / dt;
    spikes[t * n + i] = whole;
  }
  return { out: { frames: out, constant: false, size: n }, membranes, spikes };
}

/* ---- readouts ---- */
function evidenceOf(network, spikes, membranes, steps) {
  const k = network.classes, out = new Float32Array(steps * k), sums = new Float64Array(k), totals = new Float64Array(k);
  const readout = network.readout, kept = new Float32Array(k).fill(readout.kind === "max_membrane" ? -Infinity : 0);
  for (let t = 0; t < steps; t++) {
    const grown = new Float32Array(k), means = new Float32Array(k);
    for (let i = 0; i < k; i++) {
      const v = membranes[t * k + i];
      sums[i] += v;
      means[i] = f(sums[i]) / (t + 1);
      switch (readout.kind) {
        case "spike_count": grown[i] = totals[i] += spikes[t * k + i]; break;
        case "max_membrane": grown[i] = kept[i] = Math.max(kept[i], v); break;
        case "mean_membrane": grown[i] = means[i]; break;
        case "last_membrane": grown[i] = readout.scale === 1 ? v : f(readout.scale) * v; break;
        default: grown[i] = kept[i] = f(f(readout.decay) * kept[i]) + v;
      }
    }
    breakTies(grown, means, network.place);
    out.set(grown, t * k);
  }
  return out;
}
/* The membranes decide between classes that share the highest; where they are equal too, a constant draw. */
function breakTies(logits, means, place) {
  const top = Math.max(...logits), best = [...logits.keys()].filter(i => logits[i] === top);
  if (best.length < 2) return;
  const most = Math.max(...best.map(i => means[i])), highest = best.filter(i => means[i] === most);
  if (highest.length) { const i = highest[place % highest.length]; logits[i] += Math.max(f(Math.abs(top) * 2 ** -10), 2 ** -6); }
}
const softmax = logits => {
  const top = Math.max(...logits), e = Array.from(logits, x => Math.exp(x - top)), sum = e.reduce((a, b) => a + b, 0);
  return e.map(x => x / sum);
};

/* Runs a network on pixels (channels, rows, columns; 0 to 255).
   change: steps; threshold, a factor; dead, for layers by name which neurons never fire. */
function run(network, pixels, change = {}) {
  const steps = change.steps || network.steps, how = { threshold: change.threshold || 1, dead: change.dead || {} };
  const encoded = encode(network, pixels, steps), outputs = { "": encoded }, sent = {}, counts = {};
  let last = null;
  for (const layer of network.layers) {
    const x = outputs[layer.inputs[0]], count = { arrived: 0, synapses: 0 };
    let done = null;
    switch (layer.kind) {
      case "linear": outputs[layer.name] = linear(layer, x, count); break;
      case "conv2d": outputs[layer.name] = conv2d(layer, x, count); break;
      case "max_pool": case "avg_pool": case "sum_pool": outputs[layer.name] = pool(layer, x); break;
      case "global_avg_pool": outputs[layer.name] = globalMean(layer, x); break;
      case "flatten": outputs[layer.name] = x; break;
      case "batch_norm": outputs[layer.name] = scaled(layer, x); break;
      case "activation": outputs[layer.name] = pointwise(x, value => FUNCTIONS[layer.function](value)); break;
      case "qcfs": outputs[layer.name] = quantised(layer, x); break;
      case "residual": outputs[layer.name] = added(x, outputs[layer.inputs[1]], steps); break;
      case "integrator": {
        const membranes = integrated(x, steps, layer.parameters.beta);
        done = { out: { frames: membranes, constant: false, size: x.size }, membranes, spikes: null };
        break;
      }
      case "spiking_activation": done = carried(layer, x, steps, how); break;
      default: done = neurons(layer, x, steps, count, how);
    }
    if (done) { outputs[layer.name] = done.out; sent[layer.name] = done; }
    counts[layer.name] = count;
    last = layer;
  }
  const out = outputs[last.name], whole = out.constant ? added(out, { frames: new Float32Array(steps * out.size), constant: false }, steps) : out;
  const end = sent[last.name] || { membranes: whole.frames, spikes: null };
  // Rates that spikes carry are what such a layer shows, as it has no threshold.
  const membranes = last.kind === "spiking_activation" ? whole.frames : end.membranes;
  return { steps, encoded, sent, counts, output: end, evidence: evidenceOf(network, end.spikes, membranes, steps) };
}

return { opened, unpacked, load, run, softmax, randomBytes, size };
})();
