// Lists the questions that match, shows one at a time, follows #question-id and #questions?kind=… .
for (const fold of document.querySelectorAll("#rollouts details")) {
  fold.addEventListener("toggle", () => fillPictures(fold));
}

const indexBlock = document.getElementById("index");
const index = indexBlock === null ? { ids: [] } : JSON.parse(indexBlock.textContent);
const FILTERS = ["kind", "range", "family", "held", "cue", "model", "mode", "outcome", "text"];
const MARKS = { r: ["✓", "right"], w: ["✗", "wrong"], u: ["?", "unread"], "-": ["·", "faint"] };
const ROW_PX = 28;
const control = (name) => document.getElementById("filter-" + name);
const chosen = (name) => control(name)?.value ?? "";
const roll = document.querySelector(".roll");
const lines = roll?.querySelector("ol");
const shown = document.getElementById("shown");
const place = document.getElementById("place");
const placeOf = new Map(index.ids.map((id, i) => [id, i]));
let matching = index.ids.map((_, i) => i);
let current = null;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// ---------------------------------------------------------------- questions, packed in blocks

const blocks = new Map();

async function unpack(number) {
  const packed = atob(document.getElementById("questions-" + number).textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function blockOf(i) {
  const number = Math.floor(i / index.block);
  if (!blocks.has(number)) blocks.set(number, unpack(number));
  return blocks.get(number);
}

function completion([model, how, outcome, said, note, text]) {
  const mark = { right: "✓", wrong: "✗", unread: "?" }[outcome];
  const head = element("div", {}, element("b", {}, model), how + " ", element("span", { class: outcome }, `${mark} ${said}`), element("small", {}, ` ${note}`));
  const body = text === "" ? element("p", { class: "faint" }, "(nothing written)") : element("pre", { tabindex: "0" }, text);
  return element("div", { class: "completion" }, head, body);
}

function askedOtherwise(question) {
  if (question.controls.length + question.sampled.length === 0) return null;
  const lotteries = question.sampled.map(([model, texts]) => {
    const nRight = texts.filter(([, outcome]) => outcome === "right").length;
    const marks = texts.map(([letter, outcome, text]) => element("span", { class: outcome, title: text }, letter + " "));
    return element("p", {}, element("b", {}, model), ` · sampled, ${nRight} of ${texts.length} right: `, ...marks);
  });
  return element("details", {}, element("summary", {}, "Under controls, and sampled"), ...question.controls.map(completion), ...lotteries);
}

function picture([id, full], i) {
  const img = element("img", { "data-view": id, alt: `Picture ${i + 1}: ${id}` });
  const whole = full === "" ? img : element("a", { href: full, target: "_blank", title: "The full picture" }, img);
  return element("figure", {}, whole, element("figcaption", {}, element("b", {}, i + 1), " " + id));
}

function drawn(markup) {
  const holder = document.createElement("template");
  holder.innerHTML = markup; // a sketch, written by sketch.py
  return element("figure", {}, holder.content, element("figcaption", {}, "From above; camera 1 looks up the page"));
}

function article(id, question, sketches) {
  const [quantity, rest] = question.decided;
  const sketch = sketches[question.views.map(([view]) => view).join(" ")];
  const options = question.options.map((option, i) => {
    const letter = String.fromCharCode(65 + i);
    return element("li", {}, element("b", {}, letter + ". "), option, letter === question.truth ? element("span", { class: "right" }, " ✓ truth") : null);
  });
  return element(
    "article",
    { id, class: "one" },
    element("h3", {}, element("a", { href: "#" + id }, id)),
    element("div", { class: "pair" }, ...question.views.map(picture), sketch === undefined ? null : drawn(sketch)),
    element("p", { class: "question" }, question.text),
    element("ul", { class: "options" }, ...options),
    element("p", { class: "faint" }, ...(quantity === "" ? [] : ["Decided by ", element("code", {}, quantity)]), rest),
    ...question.answers.map(completion),
    askedOtherwise(question),
  );
}

// ---------------------------------------------------------------- the list: only lines in sight are there

const drawnLines = new Map();

function line(at) {
  const i = matching[at];
  const marks = [...index.found[i]].map((letter, a) => {
    const [mark, name] = MARKS[letter];
    return element("span", { class: name, title: `${index.asked[a].join(" ")}: ${name === "faint" ? "not asked" : name}` }, mark);
  });
  const link = element("a", { href: "#" + index.ids[i] }, element("span", {}, index.ids[i].replace(/^scene-/, "")), element("span", { class: "marks" }, ...marks));
  const made = element("li", { "aria-setsize": matching.length, "aria-posinset": at + 1 }, link);
  made.style.top = at * ROW_PX + "px";
  return made;
}

function drawList() {
  const first = Math.max(0, Math.floor(roll.scrollTop / ROW_PX) - 5);
  const last = Math.min(matching.length, first + Math.ceil(roll.clientHeight / ROW_PX) + 10);
  for (const [at, made] of drawnLines) {
    if ((at < first || at >= last) && !made.contains(document.activeElement)) {
      made.remove();
      drawnLines.delete(at);
    }
  }
  for (let at = first; at < last; at++) {
    if (!drawnLines.has(at)) {
      drawnLines.set(at, line(at));
      lines.append(drawnLines.get(at));
    }
    const link = drawnLines.get(at).firstChild;
    if (matching[at] === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function newList() {
  for (const made of drawnLines.values()) made.remove();
  drawnLines.clear();
  lines.style.height = matching.length * ROW_PX + "px";
  drawList();
}

// ---------------------------------------------------------------- showing and choosing

async function show(i) {
  current = i;
  const at = matching.indexOf(i);
  place.textContent = matching.length === 0 ? "none match" : `${(at + 1).toLocaleString("en")} of ${matching.length.toLocaleString("en")}`;
  document.getElementById("previous").disabled = at <= 0;
  document.getElementById("next").disabled = at === matching.length - 1 || matching.length === 0;
  if (i === null) {
    shown.replaceChildren();
    drawList();
    return;
  }
  const inList = lines.contains(document.activeElement);
  if (at * ROW_PX < roll.scrollTop || (at + 1) * ROW_PX > roll.scrollTop + roll.clientHeight) roll.scrollTop = at * ROW_PX - roll.clientHeight / 2;
  drawList();
  if (inList) drawnLines.get(at).firstChild.focus({ preventScroll: true });
  try {
    const { questions, sketches } = await blockOf(i);
    if (current !== i) return;
    const made = article(index.ids[i], questions[i % index.block], sketches);
    fillPictures(made);
    shown.replaceChildren(made);
  } catch (error) {
    shown.replaceChildren(element("p", { class: "missing" }, `This browser cannot unpack the question (${error}): one of 2023 or later can.`));
  }
}

const texts = new Map();

async function textOf(i) {
  if (!texts.has(i)) {
    const { questions } = await blockOf(i);
    const q = questions[i % index.block];
    const written = [...q.answers, ...q.controls].flatMap((answer) => [answer[0], answer[3], answer[5]]);
    texts.set(i, [index.ids[i], q.text, ...q.options, ...q.decided, ...written, ...q.sampled.flatMap(([, all]) => all.map((s) => s[2]))].join("\n").toLowerCase());
  }
  return texts.get(i);
}

function column(name) {
  const { names, values } = index.columns[name];
  const wanted = names.indexOf(chosen(name));
  return chosen(name) === "" ? () => true : (i) => values[i] === wanted;
}

function answered() {
  const [model, mode, outcome] = ["model", "mode", "outcome"].map(chosen);
  const looked = index.asked.map((_, a) => a).filter((a) => (model === "" || index.asked[a][0] === model) && (mode === "" || index.asked[a][1] === mode));
  if (outcome === "") return (i) => looked.length === index.asked.length || looked.some((a) => index.found[i][a] !== "-");
  if (outcome === "missed") return (i) => looked.some((a) => "wu".includes(index.found[i][a]));
  if (outcome !== "gained" && outcome !== "lost") return (i) => looked.some((a) => index.found[i][a] === outcome[0]);
  const baseOf = (a) => index.asked.findIndex(([m, mode]) => m === "base" && mode === index.asked[a][1]);
  const pairs = looked.map((a) => [a, baseOf(a)]).filter(([a, b]) => b >= 0 && a !== b);
  const isGain = outcome === "gained";
  return (i) =>
    pairs.some(([a, b]) => {
      const [now, before] = [index.found[i][a], index.found[i][b]];
      return now !== "-" && before !== "-" && (now === "r") === isGain && (before === "r") !== isGain;
    });
}

let asking = 0;

async function applyFilters(wanted = current) {
  const mine = ++asking;
  const tests = [...Object.keys(index.columns).map(column), answered()];
  let found = index.ids.map((_, i) => i).filter((i) => tests.every((test) => test(i)));
  const text = chosen("text").trim().toLowerCase();
  if (text !== "") {
    const hits = [];
    place.textContent = "searching …";
    for (const i of found) {
      const said = index.ids[i].toLowerCase().includes(text) || (texts.get(i) ?? (await textOf(i))).includes(text);
      if (mine !== asking) return;
      if (said) hits.push(i);
    }
    found = hits;
  }
  matching = found;
  newList();
  await show(matching.includes(wanted) ? wanted : (matching[0] ?? null));
}

function choose() {
  const query = new URLSearchParams(FILTERS.filter((name) => chosen(name) !== "").map((name) => [name, chosen(name)]));
  history.replaceState(null, "", "#questions" + (query.size > 0 ? "?" + query : ""));
  return applyFilters();
}

function step(by) {
  const next = matching[matching.indexOf(current) + by];
  if (next === undefined) return;
  history.replaceState(null, "", "#" + index.ids[next]);
  show(next);
}

function setFilters(query) {
  for (const name of FILTERS) if (control(name) !== null) control(name).value = query.get(name) ?? "";
}

async function followAddress() {
  const [target, query] = location.hash.slice(1).split("?");
  const wanted = placeOf.get(decodeURIComponent(target));
  if (target === "questions" && query !== undefined) {
    setFilters(new URLSearchParams(query));
    await applyFilters();
  } else if (wanted !== undefined && matching.includes(wanted)) {
    await show(wanted);
  } else if (wanted !== undefined) {
    setFilters(new URLSearchParams());
    await applyFilters(wanted);
  } else {
    return false;
  }
  document.getElementById("questions").scrollIntoView();
  return true;
}

async function start() {
  for (const name of FILTERS) control(name)?.addEventListener(name === "text" ? "input" : "change", choose);
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
  roll.addEventListener("scroll", drawList, { passive: true });
  window.addEventListener("resize", drawList);
  window.addEventListener("hashchange", followAddress);
  newList();
  if (!(await followAddress())) await show(0);
}

if (index.ids.length > 0) start();
