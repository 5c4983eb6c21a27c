"use strict";
/* Runs the engine and the network that stand in a page, without a browser: `node headless.js PAGE`. On standard input a line
   with [images, bytes of one] and their pixels, again and again; the answer is a line that describes what follows. */
const fs = require("fs"), vm = require("vm");
const page = fs.readFileSync(process.argv[2], "utf8");
const part = name => page.match(new RegExp(`<script [^>]*id="${name}"[^>]*>([\\s\\S]*?)</script>`))[1];
// Not in a context of its own, where each look at a global such as Math takes longer than what is computed with it.
vm.runInThisContext(part("engine") + "\n" + fs.readFileSync(process.argv[3], "utf8"));
globalThis.open(part("model"), part("numbers"));
let held = Buffer.alloc(0);
process.stdin.on("data", more => {
  held = Buffer.concat([held, more]);
  for (;;) {
    const end = held.indexOf(10);
    if (end < 0) return;
    const [images, each] = JSON.parse(held.subarray(0, end));
    if (held.length < end + 1 + images * each) return;
    const pixels = new Uint8Array(held.subarray(end + 1, end + 1 + images * each));
    held = held.subarray(end + 1 + images * each);
    const said = globalThis.answering(pixels, each);
    process.stdout.write(JSON.stringify(said.line) + "\n");
    process.stdout.write(Buffer.from(said.bytes));
  }
});
