"use strict";
/* The numbers of a page: those that stand in it as text, and those that are drawn at random. */
var Numbers = (() => {
/* Seven bits in each character; where that is one that a page cannot hold, it and the next stand in one beyond ASCII. */
function opened(text) {
  const bytes = new Uint8Array(Math.ceil(text.length * 7 / 4)), forbidden = [0, 13, 60];
  let held = 0, bits = 0, to = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) { held = held << 7 | forbidden[code - 128 >> 7]; bits += 7; }
    held = held << 7 | code & 127; bits += 7;
    while (bits > 7) { bits -= 8; bytes[to++] = held >> bits; }
    held &= 127;
  }
  return bytes;
}

/* A canonical Huffman code, by the next bits of what was written in it: the symbol's place (times 32) and the length of
   its code, where that is as short as most are. */
const SHORT = 12;
function shortCodes(many) {
  const found = new Int32Array(1 << SHORT);
  for (let length = 1, code = 0, place = 0; length <= Math.min(SHORT, many.length); length++, code *= 2)
    for (let i = 0; i < many[length - 1]; i++, code++, place++)
      found.fill(place * 32 + length, code << SHORT - length, code + 1 << SHORT - length);
  return found;
}
/* An array: symbols in a Huffman code; floats have their exponents in it, or are multiples of a step. */
function unpacked(bytes, { at, count, exact, step }) {
  const word = () => { at += 2; return bytes[at - 2] | bytes[at - 1] << 8; };
  const many = Array.from({ length: bytes[at++] }, word), symbols = new Uint16Array(count);
  const kinds = Uint16Array.from({ length: many.reduce((a, b) => a + b, 0) }, word), short = shortCodes(many);
  let bit = 8 * at;
  for (let i = 0; i < count; i++) {
    const from = bit >> 3, next = bytes[from] << 16 | bytes[from + 1] << 8 | bytes[from + 2];
    const found = short[next >> 24 - SHORT - (bit & 7) & (1 << SHORT) - 1];
    if (found) { symbols[i] = kinds[found >> 5]; bit += found & 31; continue; }
    let code = 0, first = 0, before = 0;
    for (let length = 0; ; length++) {
      code += bytes[bit >> 3] >> 7 - (bit & 7) & 1; bit++;
      if (code - first < many[length]) { symbols[i] = kinds[before + code - first]; break; }
      before += many[length]; first = 2 * (first + many[length]); code *= 2;
      if (length > many.length) throw new Error("its numbers are damaged");
    }
  }
  if (step) return stepped(symbols, step);
  if (!exact) return Uint8Array.from(symbols);
  const words = new Uint32Array(count);
  for (let i = 0, from = bit + 7 >> 3; i < count; i++, from += 3)
    words[i] = bytes[from] | bytes[from + 1] << 8 | (bytes[from + 2] & 127) << 16 | symbols[i] << 23 | bytes[from + 2] >> 7 << 31;
  return new Float32Array(words.buffer);
}
function stepped(symbols, step) {
  const out = new Float32Array(symbols.length);
  for (let i = 0; i < out.length; i++) out[i] = (symbols[i] - 32768) * step;
  return out;
}

/* ---- Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 ---- */
function high(a, b) {
  const al = a & 65535, ah = a >>> 16, bl = b & 65535, bh = b >>> 16, one = Math.imul(ah, bl), other = Math.imul(al, bh);
  const middle = (Math.imul(al, bl) >>> 16) + (one & 65535) + (other & 65535);
  return Math.imul(ah, bh) + (one >>> 16) + (other >>> 16) + (middle >>> 16) | 0;
}
/* Bytes 0..count of one step, as `predict` draws them for every image. */
function randomBytes(seed, step, count, stream = 0) {
  const words = new Int32Array(4 * Math.ceil(count / 16));
  for (let at = 0; at < words.length; at += 4) {
    let c0 = at >> 2, c1 = step, c2 = 0, c3 = 0, k0 = seed[0] | 0, k1 = seed[1] ^ stream;
    for (let round = 0; round < 10; round++) {
      const h0 = high(c0, 0xD2511F53), l0 = Math.imul(c0, 0xD2511F53), h1 = high(c2, 0xCD9E8D57), l1 = Math.imul(c2, 0xCD9E8D57);
      c0 = h1 ^ c1 ^ k0; c1 = l1; c2 = h0 ^ c3 ^ k1; c3 = l0;
      k0 = k0 + 0x9E3779B9 | 0; k1 = k1 + 0xBB67AE85 | 0;
    }
    words[at] = c0; words[at + 1] = c1; words[at + 2] = c2; words[at + 3] = c3;
  }
  return new Uint8Array(words.buffer, 0, count);
}
/* From 0 up to 1, of 24 bits. */
function uniform(seed, count, stream) {
  const bytes = randomBytes(seed, 0, 3 * count, stream), out = new Float32Array(count);
  for (let i = 0, at = 0; i < count; i++, at += 3) out[i] = (bytes[at] << 16 | bytes[at + 1] << 8 | bytes[at + 2]) / 16777216;
  return out;
}
return { opened, unpacked, randomBytes, uniform };
})();
