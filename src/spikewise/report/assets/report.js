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
