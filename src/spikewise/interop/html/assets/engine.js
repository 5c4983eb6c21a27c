"use strict";
/* Runs a network of Spikewise on one image: what reaches a neuron is summed spike by spike, in double precision, and
   rounded once to 32 bits; everything after that is computed in 32 bits, operation for operation as in the package. */
var Spikewise = (() => {
const { opened, unpacked, randomBytes, uniform } = Numbers;
const f = Math.fround;
const size = shape => shape.reduce((a, b) => a * b, 1);

/* A value of each feature, from one number, or from one of each channel. */
function spread(value, count) {
  const out = new Float32Array(count);
  if (typeof value === "number") return out.fill(value);
  for (let i = 0, each = count / value.length; i < value.length; i++) out.fill(value[i], i * each, (i + 1) * each);
  return out;
}

/* Brings a network as it stands in the file into the form in which it runs: weights ordered by the input they come from. */
function load(network, bytes) {
  for (const layer of network.layers) {
    for (const part of [layer, layer.parameters || {}])
      for (const key in part) if (part[key] && part[key].count !== undefined) part[key] = unpacked(bytes, part[key]);
    if (layer.kind === "linear") layer.rows = transposed(layer.weight, size(layer.output), size(layer.input));
    if (layer.stream) layer.start = uniform(network.seed, size(layer.output), layer.stream);
    if (layer.recurrent) layer.feedback = transposed(layer.recurrent, size(layer.output), size(layer.output));
  }
  return network;
}
function transposed(weight, rows, columns) {
  const out = new Float32Array(weight.length);
  for (let r = 0, from = 0; r < rows; r++) for (let to = r; to < out.length; from++, to += rows) out[to] = weight[from];
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

/* Those of a network's encoder, which are the same for every image. */
function kept(network, step, count) {
  network.drawn = network.drawn || [];
  return network.drawn[step] = network.drawn[step] || randomBytes(network.seed, step, count);
}

/* ---- encoders: frames of spikes or currents, one for each step, or one for all ---- */
function encode(network, pixels, steps) {
  const encoder = network.encoder, count = pixels.length;
  if (encoder.kind === "direct") return { frames: normalised(network, pixels), constant: true, size: count };
  if (encoder.kind === "delta") return deltas(network, pixels, steps);
  const frames = new Float32Array(steps * count);
  if (encoder.kind === "rate")
    for (let t = 0; t < steps; t++) drawn(pixels, kept(network, t, count), frames.subarray(t * count, (t + 1) * count));
  else timed(pixels, encoder, steps, frames);
  return { frames, constant: false, size: count };
}
function normalised(network, pixels) {
  const [channels, height, width] = network.image, { mean, deviation } = network.encoder, plane = height * width;
  const frames = new Float32Array(pixels.length), of = (list, c) => f(list[list.length === 1 ? 0 : c]);
  for (let c = 0, i = 0; c < channels; c++) {
    const less = mean.length ? of(mean, c) : 0, by = mean.length ? of(deviation, c) : 1;
    for (; i < (c + 1) * plane; i++) frames[i] = f(f(pixels[i] / 255) - less) / by;
  }
  return frames;
}
function drawn(pixels, bytes, out) {
  for (let i = 0; i < out.length; i++) out[i] = bytes[i] < pixels[i] + (pixels[i] >> 7) ? 1 : 0;
}
/* The first spike of each level's pixels, and where they are periodic those after it. */
function timed(pixels, { kind, first }, steps, frames) {
  const count = pixels.length;
  for (let i = 0; i < count; i++) {
    const once = first[pixels[i]], every = kind === "latency" ? steps : Math.min(Math.max(once, 1), Math.max(steps - 1, 1));
    for (let t = kind === "latency" ? once : every; t < steps; t += every) frames[t * count + i] = 1;
  }
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
function activated(name, from, to) {
  const work = FUNCTIONS[name];
  for (let i = 0; i < to.length; i++) to[i] = work(from[i]);
}

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
/* Counts what reaches a convolution and how many outputs that reaches; gives how many places of the frame sent something. */
function reached(layer, frame, count) {
  const [, height, width] = layer.input, [outputs, rows, columns] = layer.output, outs = outputs / layer.groups;
  const along = axis => Int32Array.from({ length: [height, width][axis] }, (_, from) => {
    let found = 0;
    for (let k = 0; k < layer.kernel[axis]; k++) {
      const to = (from + layer.padding[axis] - k * layer.dilation[axis]) / layer.stride[axis];
      if (to >= 0 && to < [rows, columns][axis] && Number.isInteger(to)) found++;
    }
    return found;
  });
  const [down, across] = layer.reach = layer.reach || [along(0), along(1)];
  const many = layer.carrier === "multispikes";
  let arrived = 0, synapses = 0, sent = 0;
  for (let row = 0, at = 0; at < frame.length; row++) {
    const outputs = down[row % height];
    for (let z = 0; z < width; z++, at++) {
      if (frame[at] === 0) continue;
      const n = many ? events(layer, frame[at]) : 1;
      sent++; arrived += n; synapses += n * outputs * across[z];
    }
  }
  count.arrived += arrived; count.synapses += synapses * outs;
  return sent;
}
/* What each place sends is added to the outputs that it reaches. */
function scattered(layer, frame, out) {
  const [inputs, height, width] = layer.input, [outputs, rows, columns] = layer.output, groups = layer.groups;
  const [ky, kx] = layer.kernel, [sy, sx] = layer.stride, [py, px] = layer.padding, [dy, dx] = layer.dilation;
  const outs = outputs / groups, ins = inputs / groups, sums = new Float64Array(size(layer.output)), plane = rows * columns;
  const weights = layer.rows = layer.rows || byInput(layer);
  for (let at = 0; at < frame.length; at++) {
    const value = frame[at];
    if (value === 0) continue;
    const c = Math.floor(at / (height * width)), y = Math.floor(at / width) % height, z = at % width, group = Math.floor(c / ins);
    for (let a = 0; a < ky; a++) {
      const down = y + py - a * dy, row = down / sy;
      if (down < 0 || row >= rows || down % sy) continue;
      for (let b = 0; b < kx; b++) {
        const right = z + px - b * dx, column = right / sx;
        if (right < 0 || column >= columns || right % sx) continue;
        // [y, x, channel], so that what one spike adds lies side by side
        let from = ((c * ky + a) * kx + b) * outs, to = (row * columns + column) * outputs + group * outs;
        for (let o = 0; o < outs; o++) sums[to++] += weights[from++] * value;
      }
    }
  }
  for (let o = 0; o < outputs; o++) for (let i = 0; i < plane; i++)
    out[o * plane + i] = layer.bias ? sums[i * outputs + o] + layer.bias[o] : sums[i * outputs + o];
}
/* All at once, faster by a factor of about 16 for each product; or only what was sent, where that is little of much. */
function conv2d(layer, x, count) {
  const each = layer.weight.length / layer.output[0];
  return overFrames(x, size(layer.output), (frame, out) => {
    const sent = reached(layer, frame, count), few = 16 * sent < frame.length && size(layer.output) * each > 4e6;
    if (few || !Convolution.convolved(layer, frame, out)) scattered(layer, frame, out);
  });
}
/* Window by window: what is at one place of all windows of a row is taken at once, one place after the other. */
function pool(layer, x) {
  const [channels, height, width] = layer.input, [, rows, columns] = layer.output;
  const [ky, kx] = layer.kernel, [sy, sx] = layer.stride, [py, px] = layer.padding, largest = layer.kind === "max_pool";
  const area = layer.kind === "avg_pool" ? ky * kx : 1, found = new Float64Array(columns);
  return overFrames(x, size(layer.output), (frame, out) => {
    for (let c = 0, to = 0; c < channels; c++) for (let row = 0; row < rows; row++, to += columns) {
      found.fill(largest ? -Infinity : 0);
      for (let y = Math.max(row * sy - py, 0); y < Math.min(row * sy - py + ky, height); y++) for (let b = 0; b < kx; b++) {
        const first = Math.max(Math.ceil((px - b) / sx), 0), end = Math.min(Math.ceil((width + px - b) / sx), columns);
        const from = (c * height + y) * width + b - px;
        if (largest) taken(found, frame, from, sx, first, end); else summed(found, frame, from, sx, first, end);
      }
      for (let column = 0; column < columns; column++) out[to + column] = largest ? found[column] : f(found[column]) / area;
    }
  });
}
function taken(found, frame, from, stride, first, end) {
  for (let i = first, at = from + first * stride; i < end; i++, at += stride) found[i] = Math.max(found[i], frame[at]);
}
function summed(found, frame, from, stride, first, end) {
  for (let i = first, at = from + first * stride; i < end; i++, at += stride) found[i] += frame[at];
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
  return overFrames(x, x.size, (frame, out) => {
    for (let i = 0; i < out.length; i++) out[i] = f(frame[i] * scale[i]) + shift[i];
  });
}
function quantised(layer, x) {
  const threshold = spread(layer.threshold, x.size), levels = layer.levels;
  return overFrames(x, x.size, (frame, out) => {
    for (let i = 0; i < out.length; i++) {
      const count = Math.ceil(f(f(f(frame[i] * levels) / threshold[i]) - 0.5));
      out[i] = f(Math.min(Math.max(count, 0), levels) / levels) * threshold[i];
    }
  });
}
const frameAt = (x, t) => x.constant ? x.frames : x.frames.subarray(t * x.size, (t + 1) * x.size);
function added(x, y, steps) {
  const constant = x.constant && y.constant, n = x.size, frames = new Float32Array((constant ? 1 : steps) * n);
  for (let t = 0; t * n < frames.length; t++) addTo(frames.subarray(t * n, (t + 1) * n), frameAt(x, t), frameAt(y, t));
  return { frames, constant, size: n };
}
function addTo(out, a, b) {
  for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i];
}

/* ---- neurons: see the package's docs for their equations ---- */
/* Each gets a step's currents, and gives the membranes before the reset; `s.z` are the spikes, before and after. */
const STEPS = {
  lif(layer, p, s, current, v) {
    leaked(p.beta, s.v, current, v);
    fire(layer, s, v, p.threshold, p.threshold);
  },
  cuba_lif(layer, p, s, current, v) {
    leaked(p.alpha, s.a, current, s.a);
    leaked(p.beta, s.v, s.a, v);
    fire(layer, s, v, p.threshold, p.threshold);
  },
  alif(layer, p, s, current, v) {
    leaked(p.adaptation_decay, s.a, s.z, s.a);
    for (let i = 0; i < v.length; i++) s.limit[i] = p.threshold[i] + f(p.adaptation[i] * s.a[i]);
    leaked(p.beta, s.v, current, v);
    fire(layer, s, v, p.threshold, s.limit);
  },
  two_phase_if(layer, p, s, current, v, t) {
    const within = start => t >= start && t < start + layer.phase ? 1 : 0, threshold = p.threshold;
    const listens = within(layer.listens_from), fires = within(layer.fires_from);
    for (let i = 0; i < v.length; i++) {
      v[i] = s.v[i] + f(current[i] * listens);
      s.z[i] = v[i] > threshold[i] && !s.dead[i] ? fires : 0;
      s.v[i] = v[i] - f(threshold[i] * s.z[i]);
    }
  },
  izhikevich(layer, p, s, current, to) {
    const n = layer.constants;
    for (let i = 0; i < to.length; i++) {
      const v = s.v[i], u = s.a[i], above = f(v - n.v_rest);
      const drift = f(f(f(f(n.k * above) * f(v - n.v_threshold)) - u) + f(p.gain[i] * current[i]));
      let moved = s.z[i] > 0 ? n.c : f(v + f(n.rate * drift));
      s.a[i] = f(f(u + f(n.recovery * f(f(n.b * above) - u))) + f(n.d * s.z[i]));
      moved = Math.min(moved, n.ceiling);
      s.z[i] = moved > n.v_peak && !s.dead[i] ? 1 : 0;
      s.v[i] = to[i] = moved;
    }
  },
};
/* to <- decay * from + more */
function leaked(decay, from, more, to) {
  for (let i = 0; i < to.length; i++) to[i] = f(decay[i] * from[i]) + more[i];
}
function fire(layer, s, v, threshold, limit) {
  if (layer.reset_delay) resetBy(layer.reset, s.z, threshold, v, v);
  for (let i = 0; i < v.length; i++) s.z[i] = v[i] > limit[i] && !s.dead[i] ? 1 : 0;
  if (layer.reset_delay) s.v.set(v); else resetBy(layer.reset, s.z, threshold, v, s.v);
}
function resetBy(how, z, threshold, from, to) {
  if (how === "none") to.set(from);
  else if (how === "subtract") for (let i = 0; i < to.length; i++) to[i] = from[i] - f(threshold[i] * z[i]);
  else for (let i = 0; i < to.length; i++) to[i] = from[i] * f(1 - z[i]);
}
function neurons(layer, x, steps, count, change) {
  const n = x.size, p = {}, state = () => new Float32Array(n), s = { v: state(), z: state(), a: state(), limit: state() };
  s.dead = change.dead[layer.name] || new Uint8Array(n);
  for (const key in layer.parameters) p[key] = spread(layer.parameters[key], n);
  if (p.threshold && change.threshold !== 1) p.threshold = p.threshold.map(value => value * change.threshold);
  if (layer.rest) s.v.fill(layer.rest);
  if (layer.initial) s.v = p.threshold.map(value => f(layer.initial) * value);
  const membranes = new Float32Array(steps * n), spikes = new Float32Array(steps * n), step = STEPS[layer.model];
  for (let t = 0; t < steps; t++) {
    const current = layer.feedback ? fedBack(layer, s.z, frameAt(x, t), count) : frameAt(x, t);
    step(layer, p, s, current, membranes.subarray(t * n, (t + 1) * n), t);
    spikes.set(s.z, t * n);
  }
  return { out: { frames: spikes, constant: false, size: n }, membranes, spikes };
}
/* A step's currents, and what the spikes of the step before add to them. */
function fedBack(layer, z, current, count) {
  const back = new Float64Array(z.length);
  for (let j = 0; j < z.length; j++) {
    if (!z[j]) continue;
    count.arrived++; count.synapses += layer.reached;
    for (let i = 0, at = j * z.length; i < back.length; i++, at++) back[i] += layer.feedback[at];
  }
  return current.map((value, i) => value + f(back[i]));
}
function integrated(x, steps, decay) {
  const beta = spread(decay, x.size), out = new Float32Array(steps * x.size);
  let v = new Float32Array(x.size);
  for (let t = 0; t < steps; t++) {
    const to = out.subarray(t * x.size, (t + 1) * x.size);
    leaked(beta, v, frameAt(x, t), to);
    v = to;
  }
  return out;
}
/* Rates carried by spikes: n / dt, of which a remainder stays. */
function carried(layer, x, steps, change) {
  const n = x.size, dead = change.dead[layer.name] || new Uint8Array(n), [out, spikes, membranes] = [0, 1, 2].map(() => new Float32Array(steps * n));
  let rest = layer.start || new Float32Array(n);
  for (let t = 0; t < steps; t++) {
    const [rates, sent, full] = [out, spikes, membranes].map(one => one.subarray(t * n, (t + 1) * n));
    activated(layer.function, frameAt(x, t), rates);
    counted(f(layer.dt), rest, dead, rates, sent, full);
    if (t + 1 < steps) rest = full.map((value, i) => value - sent[i]);
  }
  return { out: { frames: out, constant: false, size: n }, membranes, spikes };
}
function counted(dt, rest, dead, rates, spikes, membranes) {
  for (let i = 0; i < rates.length; i++) {
    const full = f(f(rates[i] * dt) + rest[i]), whole = dead[i] ? 0 : Math.floor(full);
    membranes[i] = full;
    rates[i] = whole / dt;
    spikes[i] = whole;
  }
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
      case "activation": outputs[layer.name] = overFrames(x, x.size, (frame, out) => activated(layer.function, frame, out)); break;
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
  const out = outputs[last.name], whole = out.constant ? added(out, { frames: new Float32Array(steps * out.size), constant: false, size: out.size }, steps) : out;
  const end = sent[last.name] || { membranes: whole.frames, spikes: null };
  // Rates that spikes carry are what such a layer shows, as it has no threshold.
  const membranes = last.kind === "spiking_activation" ? whole.frames : end.membranes;
  return { steps, encoded, sent, counts, output: end, evidence: evidenceOf(network, end.spikes, membranes, steps) };
}

return { opened, unpacked, load, run, softmax, randomBytes, size };
})();
