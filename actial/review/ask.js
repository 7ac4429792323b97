// Asks one question at a time. The server keeps every answer, and tells no truth before the end.
"use strict";
const at = (id) => document.getElementById(id);
let state = null;
let busy = false;

function figure(source, number) {
  const img = document.createElement("img");
  img.src = source;
  img.alt = `Picture ${number}`;
  const caption = document.createElement("figcaption");
  caption.textContent = `Picture ${number}`;
  const whole = document.createElement("figure");
  whole.append(img, caption);
  return whole;
}

function choice(text, i) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.letter = letterOf(i);
  const key = document.createElement("kbd");
  key.textContent = letterOf(i);
  button.append(key, text);
  button.addEventListener("click", () => answer(letterOf(i)));
  return button;
}

const letterOf = (i) => String.fromCharCode(65 + i);

function show(next) {
  state = next;
  at("bar").value = state.n_said;
  at("place").textContent = state.place === null ? `${state.n} of ${state.n} answered` : `${state.n_said + 1} of ${state.n}`;
  at("undo").disabled = !state.can_undo;
  at("finish").disabled = !state.can_finish;
  at("finish").textContent = state.place === null ? "Show the results" : "End here and show the results";
  at("results").hidden = !state.has_results;
  at("one").hidden = state.place === null;
  at("done").hidden = state.place !== null;
  at("done-text").textContent = state.can_finish
    ? "All are answered. The results show the computed answers; after that no answer can be changed."
    : "All are answered.";
  closeNote();
  if (state.place === null) return;
  at("pair").replaceChildren(...state.pictures.map((source, i) => figure(source, i + 1)));
  at("text").textContent = state.text;
  at("options").replaceChildren(...state.options.map(choice));
}

// Everything that changes something goes this way, one at a time: a key held down answers no second question.
async function send(path, body) {
  if (busy) return;
  busy = true;
  at("message").textContent = "";
  try {
    const reply = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (reply.status === 409) await load();
    else if (!reply.ok) throw new Error(`${reply.status}`);
    else if (path === "/finish") location.href = "/results";
    else show(await reply.json());
  } catch {
    at("message").textContent = "This was not kept: `actial review` does not answer. Start it again and open the address it prints.";
  } finally {
    busy = false;
  }
}

async function load() {
  const reply = await fetch("/state");
  show(await reply.json());
}

function answer(letter) {
  const pressed = at("options").querySelector(`[data-letter="${letter}"]`);
  if (pressed === null || state.place === null) return;
  pressed.classList.add("pressed");
  send("/answer", { place: state.place, letter, note: "" });
}

function openNote() {
  at("why").hidden = false;
  at("ill-posed").hidden = true;
  at("why").scrollIntoView({ block: "nearest" });
  at("note").focus();
}

function closeNote() {
  at("why").hidden = true;
  at("ill-posed").hidden = false;
  at("note").value = "";
  at("note").blur();
}

function finish() {
  const left = state.n - state.n_said;
  const asked = `The results show the computed answers; what was answered can then not be changed.${left ? ` ${left} are not answered yet.` : ""}`;
  if (confirm(asked)) send("/finish", {});
}

at("ill-posed").addEventListener("click", openNote);
at("cancel").addEventListener("click", closeNote);
at("undo").addEventListener("click", () => send("/undo", {}));
at("finish").addEventListener("click", finish);
at("why").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/answer", { place: state.place, letter: null, note: at("note").value });
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || state === null) return;
  if (!at("why").hidden) {
    if (event.key === "Escape") closeNote();
    return;
  }
  const key = event.key.toUpperCase();
  if (key === "U" && state.can_undo) send("/undo", {});
  else if (key === "X" && state.place !== null) {
    event.preventDefault();
    openNote();
  } else if (/^[1-9]$/.test(key)) answer(letterOf(Number(key) - 1));
  else if (/^[A-T]$/.test(key)) answer(key);
});
load();
