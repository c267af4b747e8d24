// The frame around the page: takes in what the server tells, and changes pages without losing the reader's place.
const words = document.getElementById("words"), errors = document.getElementById("errors"), refusals = document.getElementById("refusals"), added = document.getElementById("added"), pages = document.getElementById("pages");
let wanted = 0; // the page that the server has
let frame = null, shown = 0; // the page that is seen
let brought = new Map(); // pictures of the wanted page, until it can take them

const source = new EventSource("/events");
source.onmessage = ({ data }) => update(JSON.parse(data));
source.onerror = () => say("bbi watch does not answer", true);

function say(text, quiet) {
  words.textContent = text;
  document.body.toggleAttribute("data-busy", !quiet);
}

function update(state) {
  say(state.ended ? "bbi watch has ended" : state.words, !state.busy);
  if (state.ended) source.close();
  errors.querySelector("pre").textContent = state.errors;
  errors.hidden = !state.errors;
  pages.classList.toggle("old", Boolean(state.errors));
  if (state.page !== wanted) {
    refusals.hidden = true;
    open(state.page);
  }
  for (const [number, address] of state.pictures) brought.set(number, address);
  bring();
}

function bring() {
  if (shown !== wanted || !brought.size) return;
  const inner = frame.contentWindow;
  inner.dispatchEvent(new inner.CustomEvent("bbi-pictures", { detail: [...brought] }));
  brought.clear();
}

// The new page is made ready unseen, with the choices, the scroll and the colours of the one before.
function open(number) {
  wanted = number;
  brought = new Map();
  pages.querySelectorAll("iframe.next").forEach((it) => it.remove());
  const next = document.createElement("iframe");
  next.className = "next";
  next.title = "the page";
  next.src = `/page/${number}${frame ? frame.contentWindow.location.hash : location.hash}`;
  next.addEventListener("load", () => ready(next, number, performance.now()));
  pages.append(next);
}

function ready(next, number, began) {
  if (wanted !== number) return;
  const root = next.contentDocument.documentElement;
  if (!("ready" in root.dataset) && performance.now() - began < 15000) return void setTimeout(ready, 30, next, number, began);
  const before = frame?.contentWindow;
  if (before) {
    const theme = before.document.documentElement.dataset.theme;
    if (theme) next.contentDocument.getElementById("theme").click();
    if (theme && root.dataset.theme !== theme) next.contentDocument.getElementById("theme").click();
    next.contentWindow.scrollTo(before.scrollX, before.scrollY);
  }
  next.className = "";
  frame?.remove();
  frame = next;
  shown = number;
  document.title = `${next.contentDocument.title} · bbi watch`;
  takeObjections(next.contentWindow);
  bring();
}

// "This should not count": the line goes into the text, which is then built anew, and can be taken back.
function takeObjections(inner) {
  inner.addEventListener("bbi-object", async ({ detail }) => {
    const said = await post("/object", String(detail), "The line was not added");
    if (said === null) return;
    added.querySelector("pre").textContent = said;
    added.hidden = false;
  });
  inner.dispatchEvent(new inner.CustomEvent("bbi-edits"));
}

// What the server says to it; null where it refuses, which is then shown below those words.
async function post(address, body, refused) {
  refusals.hidden = true;
  const answer = await fetch(address, { method: "POST", body }).catch(() => null);
  const said = answer ? (await answer.text()).trim() : "bbi watch does not answer";
  if (answer?.ok) return said;
  refusals.querySelector("h1").textContent = refused;
  refusals.querySelector("pre").textContent = said;
  refusals.hidden = false;
  return null;
}

refusals.querySelector("button").addEventListener("click", () => { refusals.hidden = true; });
const [undo, close] = added.querySelectorAll("button");
undo.addEventListener("click", async () => {
  const said = await post("/undo", "", "The line was not taken back");
  added.hidden = true;
  if (said !== null) say(`taken back: ${said.replaceAll("\n", "; ")}`);
});
close.addEventListener("click", () => { added.hidden = true; });

// The choices are in this address too, so that it can be loaded anew.
setInterval(() => {
  const hash = frame?.contentWindow.location.hash;
  if (hash !== undefined && hash !== location.hash) history.replaceState(null, "", hash || location.pathname);
}, 500);
