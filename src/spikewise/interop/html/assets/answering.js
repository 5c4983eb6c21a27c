"use strict";
/* What a check asks of the engine: scores and spikes of many images. */
let network = null;
function open(text, numbers) {
  network = Spikewise.load(JSON.parse(text).networks[0], Spikewise.opened(numbers));
}
function answering(pixels, each) {
  const scores = [], spikes = {};
  for (let at = 0; at < pixels.length; at += each) {
    const done = Spikewise.run(network, pixels.subarray(at, at + each)), k = network.classes;
    scores.push(...done.evidence.subarray((done.steps - 1) * k));
    for (const layer of network.layers)
      if (layer.spikes) (spikes[layer.name] = spikes[layer.name] || []).push(done.sent[layer.name].spikes);
  }
  const parts = [new Float32Array(scores).buffer], line = [];
  for (const name in spikes) for (const one of spikes[name]) parts.push(Int16Array.from(one).buffer);
  for (const name in spikes) line.push([name, spikes[name].length, spikes[name][0].length]);
  const bytes = new Uint8Array(parts.reduce((sum, one) => sum + one.byteLength, 0));
  let to = 0;
  for (const one of parts) { bytes.set(new Uint8Array(one), to); to += one.byteLength; }
  return { line: { bytes: bytes.length, layers: line }, bytes };
}
