// ---- paper: what is folded is opened, what is chosen is said in words, charts take the width of the sheet ------------------

const SHEET = 680; // pixels between the margins of A4, and of US Letter
let unfolded = [];

function toPaper() {
  for (const node of document.querySelectorAll(".controls > div")) {
    const control = node.querySelector("[data-selection]"), said = node.querySelector(".said");
    const words = control.type === "checkbox" ? (control.checked ? "on" : "off") : control.selectedOptions?.[0]?.text;
    said.textContent = words ?? node.querySelector("output")?.textContent ?? "";
  }
  unfolded = [...document.querySelectorAll("details:not([open], .menu)")];
  for (const node of unfolded) node.open = true;
  document.documentElement.dataset.paper = "";
  document.querySelector("main").style.width = `${SHEET}px`;
  for (const [id, view] of views) fit(document.querySelector(`[data-chart="${CSS.escape(id)}"]`), view);
  for (const chart of pointCharts) chart.paper(true);
}

function fromPaper() {
  for (const node of unfolded) node.open = false;
  unfolded = [];
  delete document.documentElement.dataset.paper;
  document.querySelector("main").style.width = "";
  for (const [id, view] of views) fit(document.querySelector(`[data-chart="${CSS.escape(id)}"]`), view);
  for (const chart of pointCharts) chart.paper(false);
}

addEventListener("beforeprint", toPaper);
addEventListener("afterprint", fromPaper);
