"use strict";
(() => {
const byId = id => document.getElementById(id), model = JSON.parse(byId("model").textContent);
const numbers = Spikewise.opened(byId("numbers").textContent);
model.networks.forEach(network => Spikewise.load(network, numbers));
const [net, twin] = model.networks, names = model.classes, K = net.classes;
const shown = net.layers.filter(layer => layer.kind === "neuron" || layer.kind === "integrator" || layer.kind === "spiking_activation");
const spiking = shown.filter(layer => layer.spikes), last = net.layers[net.layers.length - 1];
const atOnce = net.steps === 1 && !shown.length;  // nothing in it happens in time
const EMPTY = "an empty pad";
const withThreshold = spiking.some(layer => layer.parameters && layer.parameters.threshold !== undefined);
const percent = x => x > 0.9995 && x < 1 ? "over 99.9 %" : `${(100 * x).toFixed(x > 0.99 && x < 1 || x && x < 0.0995 ? 1 : 0)} %`;
const count = x => Math.round(x).toLocaleString("en");

const start = { steps: net.steps, threshold: 1, noise: 0, dead: 0, sure: model.exit === null ? 0.9 : model.exit };
const now = { ...start, pixels: null, truth: null, source: "", strokes: [], silent: {}, step: 0, playing: null, chosen: { layer: shown.length ? shown[0].name : null, neuron: 0 }, done: null, twin: null, hits: {} };

/* ---- running ---- */
function deadMasks() {
  const masks = {};
  spiking.forEach((layer, l) => {
    const some = now.dead && layer !== last, silent = now.silent[layer.name] || new Set();
    if (!some && !silent.size) return;
    const n = Spikewise.size(layer.output), mask = masks[layer.name] = new Uint8Array(n);
    if (some) {
      const order = Spikewise.randomBytes(net.seed, l, 4 * n, 0x64656164), key = i => ((order[4 * i] * 256 + order[4 * i + 1]) * 256 + order[4 * i + 2]) * 256 + order[4 * i + 3];
      const ranked = [...Array(n).keys()].sort((a, b) => key(a) - key(b));
      for (let i = 0; i < Math.round(now.dead * n); i++) mask[ranked[i]] = 1;
    }
    for (const i of silent) mask[i] = 1;
  });
  return masks;
}
function compute(keepStep) {
  const begun = performance.now(), pixels = Images.noisy(now.pixels, now.noise, net);
  now.dark = deadMasks();
  now.done = Spikewise.run(net, pixels, { steps: now.steps, threshold: now.threshold, dead: now.dark });
  now.twin = twin ? Spikewise.run(twin, pixels) : null;
  now.fed = pixels;
  now.milliseconds = performance.now() - begun;
  now.sures = []; now.bests = [];
  for (let t = 0; t < now.steps; t++) {
    const p = Spikewise.softmax(evidenceAt(now.done, t)), best = p.indexOf(Math.max(...p));
    now.sures.push(p[best]); now.bests.push(evidenceAt(now.done, t).indexOf(Math.max(...evidenceAt(now.done, t))));
  }
  now.exit = now.sures.findIndex(p => p >= now.sure);
  now.step = Math.min(keepStep ? now.step : now.steps - 1, now.steps - 1);
  byId("step").max = now.steps;
  show();
  window.spikewise = { network: net, twin, images: Images, state: now };  // for whoever looks into it
}
const evidenceAt = (done, t) => done.evidence.subarray(t * K, (t + 1) * K);

/* ---- showing ---- */
let waiting = false;
function show() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; if (now.done) draw(); });
}
function draw() {
  Charts.refresh(names);
  Charts.picture(byId("seen"), now.fed, net.image);
  byId("seen-text").textContent = `${net.image[2]} × ${net.image[1]} pixels${net.image[0] === 3 ? " in colour" : ""}${now.source ? `, ${now.source}` : ""}`;
  byId("step").value = now.step + 1;
  byId("step").setAttribute("aria-valuetext", `step ${now.step + 1} of ${now.steps}`);
  byId("step-text").textContent = `step ${now.step + 1} of ${now.steps}`;
  byId("time").hidden = byId("cost-early").hidden = now.steps === 1;
  answer(); evidence(); layers(); neuron(); costs();
}
function answer() {
  const end = now.steps - 1, said = now.bests[now.step], final = now.bests[end];
  byId("big").textContent = names[said];
  let from = end;
  while (from > 0 && now.bests[from - 1] === final) from--;
  const early = now.step < end, sure = now.sures[now.step];
  const head = early ? `After ${now.step + 1} step${now.step ? "s" : ""}: ${names[said]}, ${percent(sure)} sure` : `It says ${names[final]}, ${percent(sure)} sure`;
  const parts = now.source === EMPTY ? ["That is its answer to an empty picture."] : [];
  if (!early && now.steps > 1) parts.push(from ? `It has said so since step ${from + 1}.` : "It said so from the first step on.");
  if (now.twin) {
    const other = evidenceAt(now.twin, now.twin.steps - 1), t = other.indexOf(Math.max(...other)), p = Spikewise.softmax(other)[t];
    parts.push(t === said ? `<span class="good">The twin without spikes agrees</span> (${percent(p)}).` : `<span class="bad">The twin without spikes says ${html(names[t])}</span> (${percent(p)}).`);
  }
  if (now.truth !== null) parts.push(said === now.truth ? `<span class="good">That is right.</span>` : `<span class="bad">It is ${html(names[now.truth])}.</span>`);
  // What is read out changes with the answer, not with every step that is drawn.
  if (byId("says").textContent !== head) byId("says").textContent = head;
  const detail = parts.join(" ");
  if (byId("detail").innerHTML !== detail) byId("detail").innerHTML = detail;
  document.querySelector(".says [aria-live]").setAttribute("aria-live", now.playing ? "off" : "polite");
  const changed = changes();
  byId("changed").hidden = !changed.length;
  byId("changed").textContent = changed.length ? `Changed: ${changed.join(", ")}. With what it was trained with it may answer otherwise.` : "";
}
const html = text => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
function changes() {
  const found = [], silent = Object.values(now.silent).reduce((sum, set) => sum + set.size, 0);
  if (now.steps !== start.steps) found.push(`${now.steps} steps instead of ${start.steps}`);
  if (now.threshold !== 1) found.push(`thresholds × ${now.threshold.toFixed(2)}`);
  if (now.noise) found.push(`noise ${Math.round(100 * now.noise)} %`);
  if (now.dead) found.push(`${Math.round(100 * now.dead)} % of the hidden neurons dead`);
  if (silent) found.push(`${silent} neuron${silent > 1 ? "s" : ""} silenced`);
  return found;
}
function strongest() {
  const e = evidenceAt(now.done, now.step);
  return [...e.keys()].sort((a, b) => e[b] - e[a]).slice(0, 3);
}
function evidence() {
  const strong = strongest(), p = Spikewise.softmax(evidenceAt(now.done, now.step)), words = strong.map(i => `${names[i]} ${percent(p[i])}`).join(", ");
  if (now.steps === 1) {
    Charts.bars(byId("evidence"), { values: evidenceAt(now.done, 0), names, strong });
    byId("evidence-text").textContent = K > Charts.BARS ? `The ${Charts.BARS} classes with the most evidence, of ${K}.` : "";
    byId("evidence").setAttribute("aria-label", `Evidence: ${words}.`);
    return;
  }
  const marks = now.exit >= 0 && now.exit < now.steps - 1 ? [{ step: now.exit, text: `${percent(now.sure)} sure` }] : [];
  Charts.lines(byId("evidence"), { values: now.done.evidence, steps: now.steps, count: K, names, strong, step: now.step, marks, least: 1 });
  const early = now.exit < 0 || now.exit >= now.steps - 1
    ? `It is never ${percent(now.sure)} sure before the last step.`
    : `From step ${now.exit + 1} on it is ${percent(now.sure)} sure: an early exit would answer ${names[now.bests[now.exit]]} there.`;
  byId("evidence-text").textContent = early;
  byId("evidence").setAttribute("aria-label", `Evidence over time. At step ${now.step + 1}: ${words}. ${early}`);
}
function panel(key, title) {
  let at = byId("layer-" + key);
  if (!at) {
    at = document.createElement("div"); at.className = "layer"; at.id = "layer-" + key;
    at.innerHTML = `<h3>${html(title)} <span></span></h3><canvas class="chart" role="img"></canvas>`;
    byId("layers").append(at);
    const canvas = at.querySelector("canvas");
    canvas.addEventListener("click", event => {
      const box = canvas.getBoundingClientRect(), hit = now.hits[key] && now.hits[key](event.clientX - box.left, event.clientY - box.top);
      if (!hit) return;
      if (hit.step !== undefined) now.step = hit.step;
      if (key) choose(key, hit.neuron); else show();
    });
  }
  return { words: at.querySelector("span"), canvas: at.querySelector("canvas") };
}
function spikePanel(key, title, spikes, shape, hue) {
  const { words, canvas } = panel(key, title), n = Spikewise.size(shape);
  let sum = 0, here = 0;
  for (let i = 0; i < now.steps * n; i++) { const s = Math.abs(spikes[i]); sum += s; if (Math.floor(i / n) <= now.step) here += s; }
  words.textContent = `${count(n)} ${key ? "neurons" : "inputs"} · ${count(here)} of ${count(sum)} spikes`;
  canvas.setAttribute("aria-label", `${title}: ${words.textContent} up to step ${now.step + 1}; ${percent(sum / now.steps / n)} of the places at each step.`);
  const chosen = key && now.chosen.layer === key ? now.chosen.neuron : null, dead = now.dark[key];
  const how = { spikes, shape, steps: now.steps, count: n, step: now.step, chosen, dead, hue };
  canvas.classList.toggle("clickable", Boolean(key));
  now.hits[key] = (shape.length === 3 ? Charts.maps(canvas, how) : Charts.raster(canvas, how)).hit;
}
function layers() {
  if (!now.done.encoded.constant && net.encoder.kind !== "direct")
    spikePanel("", "What the encoder sends", now.done.encoded.frames, net.encoder.kind === "delta" ? [2 * net.image[0], net.image[1], net.image[2]] : net.image, 2);
  for (const layer of shown) {
    const done = now.done.sent[layer.name];
    if (done.spikes) spikePanel(layer.name, title(layer), done.spikes, layer.output, 0);
    if (layer === last || !done.spikes) membranes(layer, done);
  }
}
const title = layer => `${layer === last ? "Output" : "Hidden"}: ${layer.name}`;
function membranes(layer, done) {
  const key = `${layer.name}-membranes`, n = Spikewise.size(layer.output);
  if (n > 1000) return;
  const { words, canvas } = panel(key, layer === last ? "Membranes of the outputs" : `Membranes of ${layer.name}`);
  const strong = layer === last ? strongest() : [];
  words.textContent = done.spikes ? "before each reset" : "they do not spike";
  const { hit } = Charts.lines(canvas, { values: done.membranes, steps: now.steps, count: n, names, strong, step: now.step });
  canvas.setAttribute("aria-label", `Membranes over time${layer === last ? `, highest at step ${now.step + 1}: ${names[strong[0]]}` : ""}.`);
  now.hits[key] = x => { now.step = hit(x); show(); return null; };
}

/* ---- one neuron ---- */
function choose(layer, neuron) {
  now.chosen = { layer, neuron };
  byId("neuron-layer").value = layer; byId("neuron-number").value = neuron;
  byId("neuron-number").max = Spikewise.size(net.layers.find(one => one.name === layer).output) - 1;
  show();
}
/* The neuron that sends most of those that rest, too, where there is time for it; of those that do not spike the first. */
function busiest(layer) {
  const { spikes } = now.done.sent[layer.name], n = Spikewise.size(layer.output), sums = new Float64Array(n);
  if (spikes) spikes.forEach((s, at) => { sums[at % n] += s; });
  const resting = sums.map(sum => now.steps === 1 || sum < 0.8 * now.steps ? sum : 0);
  return resting.reduce((best, sum, at) => sum > resting[best] ? at : best, 0);
}
function neuron() {
  if (!now.chosen.layer) return;
  const layer = shown.find(one => one.name === now.chosen.layer), n = Spikewise.size(layer.output), i = now.chosen.neuron, done = now.done.sent[layer.name];
  const over = values => Array.from({ length: now.steps }, (_, t) => values[t * n + i]);
  const membrane = over(done.membranes), spikes = done.spikes ? over(done.spikes) : null;
  const given = layer.parameters && layer.parameters.threshold, each = typeof given === "number" ? given : given && given[Math.floor(i / (n / given.length))];
  const limit = layer.model === "izhikevich" ? layer.constants.v_peak : given === undefined || layer.model === "alif" ? null : each * now.threshold;
  byId("trace").hidden = now.steps === 1;
  Charts.trace(byId("trace"), { membrane, spikes, steps: now.steps, step: now.step, threshold: limit });
  const sum = spikes ? spikes.reduce((a, b) => a + b, 0) : 0;
  byId("trace-text").textContent = `${layer.name}, neuron ${i}${layer === last ? ` (class ${names[i]})` : ""}: membrane ${membrane[now.step].toPrecision(3)} at step ${now.step + 1}${spikes ? `; ${count(sum)} ${now.steps > 1 ? `spikes in ${now.steps} steps, the dots` : `spike${sum === 1 ? "" : "s"}`}` : ""}.`;
  byId("trace").setAttribute("aria-label", byId("trace-text").textContent);
  byId("silence").checked = Boolean(now.silent[layer.name] && now.silent[layer.name].has(i));
  byId("silence").disabled = !layer.spikes;
  weightsOf(layer, i);
}
function weightsOf(layer, i) {
  let at = net.layers.find(one => one.name === layer.inputs[0]);
  while (at && !["linear", "conv2d"].includes(at.kind) && !["neuron", "integrator", "spiking_activation"].includes(at.kind)) at = net.layers.find(one => one.name === at.inputs[0]);
  const canvas = byId("weights"), text = byId("weights-text");
  canvas.hidden = !at || !at.weight;
  if (canvas.hidden) { text.textContent = "No weights lie right before it."; return; }
  const ins = Spikewise.size(at.input);
  if (at.kind === "linear") {
    const values = at.weight.subarray((i % Spikewise.size(at.output)) * ins, (i % Spikewise.size(at.output) + 1) * ins);
    const from = net.layers.find(one => one.name === at.inputs[0]), shape = from && from.kind === "flatten" ? from.input : at.input;
    tiled(canvas, values, shape);
    text.textContent = `Its ${count(ins)} weights from ${shape.length === 3 ? "the map before it" : "the layer before it"}: blue excites, orange inhibits.`;
  } else {
    const [channels, rows, columns] = at.output, channel = Math.floor(i / (Spikewise.size(layer.output) / channels)), each = at.weight.length / channels;
    tiled(canvas, at.weight.subarray(channel * each, (channel + 1) * each), [at.input[0] / at.groups, ...at.kernel]);
    text.textContent = `The weights of its channel ${channel}, ${at.kernel.join(" × ")} from each channel before it: blue excites, orange inhibits.`;
  }
  canvas.setAttribute("aria-label", text.textContent);
}
/* Channels as tiles of one image, with a pixel between them; what is flat becomes as square as it can. */
function tiled(canvas, values, shape) {
  if (shape.length === 1) { const w = Math.ceil(Math.sqrt(shape[0] * 1.6)); shape = [1, Math.ceil(shape[0] / w), w]; }
  const [channels, rows, columns] = shape, across = Math.ceil(Math.sqrt(channels)), down = Math.ceil(channels / across);
  const width = across * (columns + 1) - 1, out = new Float32Array(width * (down * (rows + 1) - 1));
  values.forEach((v, i) => {
    const c = Math.floor(i / (rows * columns)), y = Math.floor(i / columns) % rows, x = i % columns;
    out[(Math.floor(c / across) * (rows + 1) + y) * width + (c % across) * (columns + 1) + x] = v;
  });
  Charts.weights(canvas, out, out.length / width, width);
}

/* ---- cost ---- */
function worked(network, done, dead) {
  const work = { steps: done.steps, macs: network.costs.macs[0] + network.costs.macs[1] * done.steps, updates: network.costs.updates[0] + network.costs.updates[1] * done.steps, added: network.costs.additions[0] + network.costs.additions[1] * done.steps, spikes: 0 };
  for (const layer of network.layers) {
    if (["linear", "conv2d"].includes(layer.kind) && layer.carrier !== "values" || layer.recurrent) work.added += done.counts[layer.name].synapses;
    if (layer.spikes) for (const s of done.sent[layer.name].spikes) work.spikes += Math.abs(s);
  }
  return work;
}
function energy(network, done, name) {
  const model = network.costs.models[name];
  if (!model) return null;
  let picojoules = model.time[0] + model.time[1] * done.steps;
  for (const key in model.layers) {
    const counts = done.counts[key.replace(/\.recurrent$/, "")], [arrival, synapse] = model.layers[key];
    picojoules += arrival * counts.arrived + synapse * counts.synapses;
  }
  return picojoules / 1000;
}
function costs() {
  const name = byId("model-choice").value, stops = now.exit >= 0 && now.exit < now.steps - 1;
  const early = stops ? Spikewise.run(net, now.fed, { steps: now.exit + 1, threshold: now.threshold, dead: now.dark }) : null;
  const columns = [[net, now.done], ...(now.steps > 1 ? [[net, early]] : []), ...(twin ? [[twin, now.twin]] : [])].map(([network, done]) => done && { ...worked(network, done), energy: energy(network, done, name) });
  byId("cost-now").textContent = `${net.name}, ${now.steps} step${now.steps > 1 ? "s" : ""}`;
  byId("cost-early").textContent = stops ? `stopped after ${now.exit + 1}` : "stopped early";
  const rows = [["Spikes sent", "spikes"], ["Additions", "added"], ["Multiplications", "macs"], ["State updates", "updates"]];
  const cell = (one, key) => one === null ? "–" : count(one[key]);
  const joules = one => one === null || one.energy === null ? "–" : one.energy >= 1000 ? `${(one.energy / 1000).toPrecision(3)} µJ` : `${one.energy.toPrecision(3)} nJ`;
  byId("costs").innerHTML = rows.map(([label, key]) => `<tr><th scope="row">${label}</th>${columns.map(one => `<td>${cell(one, key)}</td>`).join("")}</tr>`).join("")
    + `<tr><th scope="row">Energy</th>${columns.map(one => `<td>${joules(one)}</td>`).join("")}</tr>`;
}

/* ---- what can be given ---- */
function give(pixels, source, truth = null) {
  now.pixels = pixels; now.source = source; now.truth = truth;
  for (const one of document.querySelectorAll("#samples button")) one.setAttribute("aria-checked", "false");
  compute(Boolean(now.playing));
}
const pad = byId("pad"), brush = pad.getContext("2d"), like = model.drawings;
pad.width = pad.height = 560;
byId("pad").parentElement.style.background = like && like.white ? "#fff" : "#000";
function showPad() {
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.clearRect(0, 0, 560, 560);
  const light = !(like && like.white);
  brush.fillStyle = brush.strokeStyle = light ? "#fff" : "#000";
  if (!now.strokes.length && now.shownOnPad) {
    const tile = document.createElement("canvas");
    Charts.picture(tile, now.shownOnPad, net.image);
    const scale = Math.min(560 / tile.width, 560 / tile.height), w = tile.width * scale, h = tile.height * scale;
    brush.imageSmoothingEnabled = false;
    brush.drawImage(tile, (560 - w) / 2, (560 - h) / 2, w, h);
  } else if (!now.strokes.length) {
    brush.globalAlpha = 0.5; brush.font = "26px system-ui, sans-serif"; brush.textAlign = "center";
    brush.fillText(like ? "draw here" : "drop an image here", 280, 288); brush.globalAlpha = 1;
  }
  brush.lineCap = brush.lineJoin = "round"; brush.lineWidth = 560 * Math.max(0.05, like ? like.pen * 0.9 : 0.09);
  for (const stroke of now.strokes) {
    brush.beginPath();
    stroke.forEach(([x, y], i) => i ? brush.lineTo(560 * x, 560 * y) : brush.moveTo(560 * x, 560 * y));
    if (stroke.length === 1) brush.lineTo(560 * stroke[0][0] + 0.01, 560 * stroke[0][1]);
    brush.stroke();
  }
  if (keyPen.shown) { brush.strokeStyle = keyPen.down ? "#d62828" : "#888"; brush.lineWidth = 4; brush.beginPath(); brush.arc(560 * keyPen.x, 560 * keyPen.y, 14, 0, 7); brush.stroke(); }
}
const keyPen = { x: 0.5, y: 0.5, down: false, shown: false };
function drawn() {
  showPad();
  give(Images.ofDrawing(now.strokes, net, like), now.strokes.length ? (like ? "your drawing, centred and scaled as the set's images" : "your drawing") : EMPTY);
}
let soon = null;
function drawnSoon() { showPad(); if (!soon) soon = requestAnimationFrame(() => { soon = null; drawn(); }); }
function begin(point) { if (now.shownOnPad) { now.shownOnPad = null; now.strokes = []; } now.strokes.push([point]); drawnSoon(); }
function pointOf(event) { const box = pad.getBoundingClientRect(); return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]; }
pad.addEventListener("pointerdown", event => { if (event.button) return; event.preventDefault(); pad.focus({ preventScroll: true }); keyPen.shown = false; pad.setPointerCapture(event.pointerId); begin(pointOf(event)); });
pad.addEventListener("pointermove", event => {
  if (!pad.hasPointerCapture(event.pointerId)) return;
  for (const one of event.getCoalescedEvents && event.getCoalescedEvents().length ? event.getCoalescedEvents() : [event]) now.strokes[now.strokes.length - 1].push(pointOf(one));
  drawnSoon();
});
pad.addEventListener("keydown", event => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (move) {
    keyPen.shown = true;
    keyPen.x = Math.min(0.97, Math.max(0.03, keyPen.x + 0.03 * move[0])); keyPen.y = Math.min(0.97, Math.max(0.03, keyPen.y + 0.03 * move[1]));
    if (keyPen.down) { now.strokes[now.strokes.length - 1].push([keyPen.x, keyPen.y]); drawnSoon(); } else showPad();
  } else if (event.key === " ") {
    keyPen.shown = true; keyPen.down = !keyPen.down;
    if (keyPen.down) begin([keyPen.x, keyPen.y]); else showPad();
  } else if (event.key === "Delete" || event.key === "Backspace") byId("clear").click();
  else return;
  event.preventDefault(); event.stopPropagation();
});
pad.addEventListener("blur", () => { keyPen.shown = keyPen.down = false; showPad(); });
byId("clear").addEventListener("click", () => { now.strokes = []; now.shownOnPad = null; stopCamera(); drawn(); });

async function open(blob, words) {
  try {
    const pixels = await Images.ofFile(blob, net, model.reading);
    placed(pixels, words);
  } catch (error) {
    byId("says").textContent = "That file is no image that this browser can read."; byId("detail").textContent = "";
  }
}
function placed(pixels, words, truth = null) { now.strokes = []; now.shownOnPad = pixels; stopCamera(); showPad(); give(pixels, words, truth); }
byId("file").addEventListener("click", () => { byId("chooser").removeAttribute("capture"); byId("chooser").click(); });
byId("chooser").addEventListener("change", event => { const [file] = event.target.files; if (file) open(file, "from your file"); event.target.value = ""; });
let nested = 0;
addEventListener("dragenter", event => { event.preventDefault(); nested++; byId("drop").hidden = false; });
addEventListener("dragleave", () => { if (--nested <= 0) { nested = 0; byId("drop").hidden = true; } });
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => { event.preventDefault(); nested = 0; byId("drop").hidden = true; const [file] = event.dataTransfer.files; if (file) open(file, "from your file"); });
addEventListener("paste", event => { const file = [...event.clipboardData.files].find(one => one.type.startsWith("image/")); if (file) open(file, "pasted"); });

/* The camera: where a page may not use it, a phone takes a photograph as a file. */
let stream = null;
const video = byId("video");
function stopCamera() {
  if (stream) stream.getTracks().forEach(track => track.stop());
  stream = null; video.hidden = true; byId("camera").textContent = "Camera";
}
byId("camera").addEventListener("click", async () => {
  if (stream) {
    const side = Math.min(video.videoWidth, video.videoHeight), square = document.createElement("canvas");
    square.width = square.height = side;
    square.getContext("2d").drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, side, side);
    placed(Images.pixelsOf(square, side, side, net, model.reading), "from the camera");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream; video.hidden = false; await video.play(); byId("camera").textContent = "Take it";
  } catch (error) {
    stopCamera(); byId("chooser").setAttribute("capture", "environment"); byId("chooser").click();
  }
});

/* ---- test images ---- */
if (model.images) {
  const bytes = Spikewise.unpacked(numbers, model.images.pixels), each = Spikewise.size(net.image), group = byId("samples");
  now.test = model.images.labels.map((_, i) => bytes.subarray(i * each, (i + 1) * each));
  const all = model.images.labels.map((label, i) => {
    const button = document.createElement("button"), tile = document.createElement("canvas"), pixels = now.test[i];
    button.type = "button"; button.setAttribute("role", "radio"); button.setAttribute("aria-checked", "false"); button.setAttribute("aria-label", `Test image ${i + 1}: ${names[label]}`);
    button.tabIndex = i ? -1 : 0; tile.className = "pixels"; Charts.picture(tile, pixels, net.image); button.append(tile); group.append(button);
    button.addEventListener("click", () => {
      placed(pixels, `test image ${i + 1}`, label);
      all.forEach(one => { one.tabIndex = one === button ? 0 : -1; });
      button.setAttribute("aria-checked", "true");
    });
    return button;
  });
  group.addEventListener("keydown", event => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], at = all.indexOf(document.activeElement);
    if (!move || at < 0) return;
    event.preventDefault(); event.stopPropagation();
    const to = all[(at + move + all.length) % all.length];
    to.focus(); to.click();
  });
}

/* ---- time ---- */
function go(step) { now.step = Math.min(Math.max(step, 0), now.steps - 1); show(); }
function pause() { clearInterval(now.playing); now.playing = null; byId("play").textContent = "Play"; show(); }
function play() {
  if (now.playing) return pause();
  if (now.step >= now.steps - 1) now.step = 0;
  byId("play").textContent = "Pause";
  now.playing = setInterval(() => { if (now.step >= now.steps - 1) pause(); else go(now.step + 1); }, 1000 / Number(byId("speed").value));
  show();
}
byId("play").addEventListener("click", play);
byId("speed").addEventListener("change", () => { if (now.playing) { pause(); play(); } });
const moves = { first: () => go(0), back: () => go(now.step - 1), next: () => go(now.step + 1), last: () => go(now.steps - 1) };
for (const id in moves) byId(id).addEventListener("click", () => { if (now.playing) pause(); moves[id](); });
byId("step").addEventListener("input", event => { if (now.playing) pause(); go(Number(event.target.value) - 1); });
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|BUTTON|TEXTAREA)$/.test(event.target.tagName)) return;
  const act = { " ": play, ArrowLeft: moves.back, ArrowRight: moves.next, Home: moves.first, End: moves.last }[event.key];
  if (act) { event.preventDefault(); act(); }
});

/* ---- what can be changed ---- */
const sliders = [
  ...(atOnce ? [] : [{ key: "steps", label: "Time steps", min: 1, max: Math.max(2 * net.steps, 10), by: 1, say: v => `${v}` }]),
  ...(withThreshold ? [{ key: "threshold", label: "Thresholds", min: 0.25, max: 3, by: 0.05, say: v => `× ${v.toFixed(2)}` }] : []),
  { key: "noise", label: "Noise on the image", min: 0, max: 0.6, by: 0.02, say: v => `${Math.round(100 * v)} % of white` },
  ...(spiking.some(layer => layer !== last) ? [{ key: "dead", label: "Dead hidden neurons", min: 0, max: 0.95, by: 0.05, say: v => percent(v) }] : []),
  ...(atOnce ? [] : [{ key: "sure", label: "Sure enough to stop at", min: 0.3, max: 0.999, by: 0.001, say: v => percent(v) }]),
];
for (const one of sliders) {
  const label = document.createElement("label");
  label.className = "slider";
  label.innerHTML = `<span>${one.label}<output></output></span><input type="range" min="${one.min}" max="${one.max}" step="${one.by}">`;
  byId("sliders").append(label);
  one.input = label.querySelector("input"); one.output = label.querySelector("output"); one.input.id = `slider-${one.key}`;
  one.input.addEventListener("input", () => { const last = now.step === now.steps - 1; now[one.key] = Number(one.input.value); tell(); compute(!last); });
}
function tell() { for (const one of sliders) { one.input.value = now[one.key]; one.output.textContent = one.say(now[one.key]); one.input.setAttribute("aria-valuetext", one.say(now[one.key])); } }
byId("reset").addEventListener("click", () => { Object.assign(now, start); now.silent = {}; tell(); compute(false); });
byId("silence").addEventListener("change", event => {
  const { layer, neuron } = now.chosen, set = now.silent[layer] = now.silent[layer] || new Set();
  if (event.target.checked) set.add(neuron); else set.delete(neuron);
  compute(true);
});
for (const layer of shown) byId("neuron-layer").append(new Option(title(layer), layer.name));
byId("neuron-layer").addEventListener("change", event => choose(event.target.value, busiest(shown.find(one => one.name === event.target.value))));
byId("neuron-number").addEventListener("change", event => {
  const most = Spikewise.size(shown.find(one => one.name === now.chosen.layer).output) - 1;
  choose(now.chosen.layer, Math.min(most, Math.max(0, Math.round(Number(event.target.value) || 0))));
});
for (const name in net.costs.models) if (net.costs.models[name]) byId("model-choice").append(new Option(name, name));
byId("model-choice").addEventListener("change", show);
if (!shown.length) byId("neuron-title").parentElement.hidden = true;
if (atOnce) byId("layers-title").parentElement.hidden = byId("keys").hidden = true;
byId("big").hidden = names.some(name => name.length > 2);  // the heading says longer names

addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
tell(); showPad();
if (model.images) document.querySelector("#samples button").click(); else drawn();
if (shown.length) choose(shown[0].name, busiest(shown[0]));
})();
