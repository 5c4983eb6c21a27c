const all = (selector, where = document) => [...where.querySelectorAll(selector)];
const folds = all(".part > details");

// What a link, or the address, names is opened and shown, however deep it lies.
function reveal(id, scroll) {
  const target = id && document.getElementById(id);
  if (!target) return;
  const own = target.querySelector(":scope > details");
  if (own) own.open = true;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (scroll) target.scrollIntoView();
}
const named = () => decodeURIComponent(location.hash.slice(1));
addEventListener("hashchange", () => reveal(named(), true));
reveal(named(), true);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link) reveal(link.getAttribute("href").slice(1), false);
});

// Paper has nothing to click: all is open while it is printed.
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  closed.forEach((fold) => (fold.open = true));
});
addEventListener("afterprint", () => closed.forEach((fold) => (fold.open = false)));

const everything = document.querySelector("[data-all]");
if (everything) {
  everything.hidden = false;
  everything.addEventListener("click", () => {
    const open = everything.getAttribute("aria-pressed") !== "true";
    everything.setAttribute("aria-pressed", String(open));
    everything.textContent = open ? "Close everything" : "Open everything";
    folds.forEach((fold) => (fold.open = open));
  });
}

// The side list marks the part that is being read: the last one whose head has passed the upper third.
const links = new Map(all("nav a[href^='#']").map((link) => [link.getAttribute("href").slice(1), link]));
const parts = all("main > section[id]");
const watch = new IntersectionObserver(mark, { rootMargin: "0px 0px -66% 0px", threshold: [0, 1] });
function mark() {
  const line = innerHeight / 3;
  const passed = parts.filter((part) => part.getBoundingClientRect().top <= line);
  const here = passed.length ? passed[passed.length - 1] : parts[0];
  for (const [id, link] of links) {
    if (here && id === here.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const strip = document.querySelector("nav ol");
  const current = here && links.get(here.id);
  if (strip && current && strip.scrollWidth > strip.clientWidth) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    strip.scrollTo({ left: current.offsetLeft - 40, behavior: calm ? "auto" : "smooth" });
  }
}
parts.forEach((part) => watch.observe(part));

// A table that is wider than its room can be moved by keys.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
all(".wide").forEach((box) => widths.observe(box));

// A term is explained where it stands: by pointer, by keyboard; Escape takes the words away.
const tip = document.getElementById("tip");
function explain(term) {
  const meaning = document.getElementById(term.getAttribute("href").slice(1));
  if (!tip || !meaning) return;
  tip.textContent = meaning.textContent;
  tip.hidden = false;
  const at = term.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = at.bottom + 6 + tip.offsetHeight < innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? at.bottom + 6 : at.top - tip.offsetHeight - 6}px`;
}
const hush = () => tip && (tip.hidden = true);
for (const term of all("a.term")) {
  term.addEventListener("pointerenter", () => explain(term));
  term.addEventListener("focus", () => explain(term));
  term.addEventListener("pointerleave", hush);
  term.addEventListener("blur", hush);
}
addEventListener("scroll", hush, { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && hush());

// What is meant to be copied is copied by one button, where the browser allows it.
for (const text of navigator.clipboard ? all(".copy") : []) {
  const button = document.createElement("button");
  const what = text.textContent;
  button.type = "button";
  button.className = "copies";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(what);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  text.after(button);
}

// Motion can be stopped: a GIF has no pause of its own, so it is exchanged for its last frame.
const button = document.querySelector("[data-motion]");
if (button) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  button.hidden = calm.matches;
  button.addEventListener("click", () => {
    const stop = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(stop));
    button.textContent = stop ? "Play the animations" : "Stop the animations";
    for (const source of document.querySelectorAll("source[data-still]")) {
      source.media = stop ? source.dataset.still : source.dataset.calm;
    }
  });
}
