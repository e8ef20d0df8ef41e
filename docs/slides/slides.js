// Arrow right, space, page down: on. Arrow left, page up: back. Arrow down and up: the next section
// and the one before. f: full screen. d: dark or light. The address keeps the place.
const slides = [...document.querySelectorAll(".slide")];
const root = document.documentElement;
let now = 0;

root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

function fit(slide) {  // smaller letters until all of it is seen, down to half; then it scrolls
  for (let size = 1; size >= 0.5; size -= 0.05) {
    slide.style.setProperty("--fit", size);
    if (slide.scrollHeight <= slide.clientHeight) break;
  }
}

function show(at) {
  slides[now].classList.remove("now");
  now = Math.max(0, Math.min(slides.length - 1, at));
  slides[now].classList.add("now");
  fit(slides[now]);
  history.replaceState(null, "", "#" + (now + 1));
  document.getElementById("place").textContent = `${now + 1} / ${slides.length}`;
  document.getElementById("bar").style.width = `${(100 * (now + 1)) / slides.length}%`;
}

function on() {
  const next = slides[now].querySelector(".later");
  if (next) next.classList.remove("later");
  else show(now + 1);
}

function section(step) {
  let at = now + step;
  while (slides[at] && !slides[at].classList.contains("section")) at += step;
  if (slides[at]) show(at);
}

const keys = {
  ArrowRight: on, " ": on, PageDown: on,
  ArrowLeft: () => show(now - 1), PageUp: () => show(now - 1),
  ArrowDown: () => section(1), ArrowUp: () => section(-1),
  Home: () => show(0), End: () => show(slides.length - 1),
  f: () => document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen(),
  d: () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; },
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if (event.key === " " && event.target.closest("summary, button, a")) return;
  event.preventDefault();
  keys[event.key]();
});
addEventListener("resize", () => fit(slides[now]));
addEventListener("load", () => show(now));  // once more, when figures have their size
addEventListener("beforeprint", () => { root.dataset.theme = "light"; });
show((parseInt(location.hash.slice(1)) || 1) - 1);
