// Shows one question at a time, filters the list, follows #question-id.
for (const fold of document.querySelectorAll("#rollouts details")) {
  fold.addEventListener("toggle", () => fillPictures(fold));
}

const entries = [...document.querySelectorAll(".list li")];
const control = (name) => document.getElementById("filter-" + name);
const searchable = new Map();
let matching = entries;
let current = null;

const article = (entry) => document.getElementById(entry.dataset.id);

function textOf(entry) {
  if (!searchable.has(entry)) searchable.set(entry, article(entry).textContent.toLowerCase());
  return searchable.get(entry);
}

function matches(entry) {
  const kind = control("kind").value;
  const cue = control("cue").value;
  const model = control("model")?.value ?? "";
  const outcome = control("outcome")?.value ?? "";
  const found = entry.dataset.found.split(" ").filter((f) => model === "" || f.startsWith(model + "="));
  if (kind !== "" && entry.dataset.kind !== kind) return false;
  if (cue !== "" && entry.dataset.cue !== cue) return false;
  if (outcome !== "" && !found.some((f) => f.endsWith("=" + outcome))) return false;
  const text = control("text").value.trim().toLowerCase();
  return text === "" || textOf(entry).includes(text);
}

function show(entry) {
  if (current !== null) {
    article(current).hidden = true;
    current.querySelector("a").removeAttribute("aria-current");
  }
  current = entry;
  if (entry !== null) {
    fillPictures(article(entry));
    article(entry).hidden = false;
    const link = entry.querySelector("a");
    link.setAttribute("aria-current", "true");
    const list = entry.parentElement;
    list.scrollTop = entry.offsetTop - list.offsetTop - list.clientHeight / 2;
    list.scrollLeft = entry.offsetLeft - list.offsetLeft - list.clientWidth / 2;
  }
  const at = matching.indexOf(entry);
  document.getElementById("place").textContent = matching.length === 0 ? "none match" : `${at + 1} of ${matching.length}`;
  document.getElementById("previous").disabled = at <= 0;
  document.getElementById("next").disabled = at === matching.length - 1 || matching.length === 0;
}

function applyFilters() {
  matching = entries.filter(matches);
  const kept = new Set(matching);
  for (const entry of entries) entry.hidden = !kept.has(entry);
  show(kept.has(current) ? current : (matching[0] ?? null));
}

function step(by) {
  const next = matching[matching.indexOf(current) + by];
  if (next === undefined) return;
  show(next);
  history.replaceState(null, "", "#" + next.dataset.id);
}

function followAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  const entry = entries.find((e) => e.dataset.id === id);
  if (entry === undefined) return false;
  if (!matching.includes(entry)) {
    for (const name of ["kind", "cue", "model", "outcome", "text"]) if (control(name) !== null) control(name).value = "";
    applyFilters();
  }
  show(entry);
  return true;
}

if (entries.length > 0) {
  for (const entry of entries) article(entry).hidden = true;
  for (const name of ["kind", "cue", "model", "outcome"]) control(name)?.addEventListener("change", applyFilters);
  control("text").addEventListener("input", applyFilters);
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, .scroll") !== null || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft" || event.key === "k") step(-1);
    else if (event.key === "ArrowRight" || event.key === "j") step(1);
    else if (event.key === "/") {
      event.preventDefault();
      control("text").focus();
    }
  });
  window.addEventListener("hashchange", () => {
    if (followAddress()) document.getElementById("questions").scrollIntoView();
  });
  show(entries[0]);
  if (followAddress()) document.getElementById("questions").scrollIntoView();
}
