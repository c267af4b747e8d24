// ---- menus, references, and what the document itself reacts to

let dragged = null; // a slider on its way: one step of history, however many numbers it passes
document.addEventListener("change", () => { dragged = null; });
document.addEventListener("input", ({ target }) => {
  const { selection } = target.dataset, index = target.type === "checkbox" ? Number(target.checked) : Number(target.value);
  if (!selection) return;
  choose([[selection, index < 0 ? null : index]], dragged !== target);
  if (target.type === "range") dragged = target;
});
document.addEventListener("submit", (event) => event.preventDefault());
document.querySelectorAll("[data-ref]").forEach(listenRef);
// A tap beside every picture lets go of what was pointed at.
document.addEventListener("click", ({ target }) => { if (!target.closest?.(".chart, .ref, .chip")) leave([...selections.keys()]); });
document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-save]");
  if (button) save(button.dataset.save, elements.get(button.dataset.element));
  for (const menu of document.querySelectorAll("details.menu[open]")) if (button || !menu.contains(target)) menu.open = false;
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") document.querySelectorAll("details.menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
});
