// Decodes pictures as they come near, steps through scenes, switches layers, enlarges a picture, lights up its camera in the sketches.
const scenes = [...document.querySelectorAll("article.scene")];
const links = new Map([...document.querySelectorAll(".list a")].map((a) => [decodeURIComponent(a.hash.slice(1)), a]));

const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    fillPictures(target);
    near.unobserve(target);
  }
}, { rootMargin: "800px" });
for (const figure of document.querySelectorAll("figure.view")) near.observe(figure);

const atTop = () => parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) + 2;

function place() {
  const passed = scenes.filter((scene) => scene.getBoundingClientRect().top <= atTop());
  return Math.max(passed.length - 1, 0);
}

let marked = null;
function mark() {
  const link = links.get(scenes[place()]?.id);
  if (link === undefined || link === marked) return;
  marked?.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  marked = link;
  const list = link.closest(".list");
  list.scrollTop = link.parentElement.offsetTop - list.offsetTop - list.clientHeight / 2;
}

function step(by) {
  const between = scenes[place()].getBoundingClientRect().top < atTop() - 4;
  const next = scenes[place() + (by < 0 && between ? 0 : by)];
  if (next === undefined) return;
  next.scrollIntoView();
  history.replaceState(null, "", "#" + encodeURIComponent(next.id));
}

function enlarge(figure) {
  const large = figure.classList.toggle("large");
  figure.querySelector("button").setAttribute("aria-pressed", String(large));
  figure.scrollIntoView({ block: "nearest" });
}

function light(id) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  if (id === undefined) return;
  for (const one of document.querySelectorAll(`[data-camera="${CSS.escape(id)}"]`)) one.classList.add("lit");
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest(".canvas, figure.view button");
  if (pressed !== null) enlarge(pressed.closest("figure"));
});
for (const name of ["pointerover", "focusin"]) {
  document.addEventListener(name, (event) => light(event.target.closest("[data-camera]")?.dataset.camera));
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input[type=range], .scroll") !== null) return;
  const layer = document.querySelector(`.layers input[data-key="${CSS.escape(event.key)}"]`);
  if (layer !== null) layer.click();
  else if (scenes.length > 0 && (event.key === "ArrowLeft" || event.key === "k")) step(-1);
  else if (scenes.length > 0 && (event.key === "ArrowRight" || event.key === "j")) step(1);
});
document.addEventListener("scroll", mark, { passive: true });
const size = document.getElementById("size");
size.addEventListener("input", () => document.documentElement.style.setProperty("--tile", size.value + "rem"));
mark();
