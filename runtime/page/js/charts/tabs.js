// ---- one map at a time: of several over one picture, the tab in front is drawn, and the others draw nothing ----------

const stacks = new Map(); // id of a picture -> the elements over it, where they are several
for (const element of data.elements) {
  const over = data.elements.filter((it) => it.host === element.id && it !== element);
  if (over.length > 1) stacks.set(element.id, over);
}
const tabs = new Map(); // id of a picture -> the tab that the reader chose: the id of an element over it, or "" for none
const brought = new Map(); // id of a picture -> what was brought to the front when something was pointed at

const draws = (element, now) => element.frames.some((panel) => panel[stateOf(element, now)].pictures.some((it) => it >= 0));

// The element in front of a picture with several over it, or "" for none of them.
function front(host, now) {
  const over = stacks.get(host);
  const pointed = over.find((it) => it.id === brought.get(host));
  if (pointed && draws(pointed, now)) return pointed.id;
  return tabs.get(host) ?? (over.find((it) => draws(it, now)) ?? over[0]).id;
}

const behind = (element, now) => element.id !== element.host && stacks.has(element.host) && front(element.host, now) !== element.id;

// The state that is drawn: behind another map, the one that draws nothing.
const shownState = (element, now) => (behind(element, now) ? element.frames[0].length - 1 : stateOf(element, now));

// What shows the selections that just changed comes to the front.
function bring(ids, now) {
  for (const [host, over] of stacks) {
    const following = over.filter((it) => it.states.some((id) => ids.includes(id)) && draws(it, now));
    if (following.length && !following.some((it) => it.id === front(host, now))) brought.set(host, following[0].id);
  }
}

function turnTo(host, id) {
  brought.delete(host);
  tabs.set(host, id);
  draw();
  remember(true);
  document.getElementById("status").textContent = id ? `${elements.get(id).title}: shown on ${elements.get(host).title}` : `${elements.get(host).title}: nothing over it`;
}

// [[picture, tab], ...] for the address: what a page without it would not show in front.
function tabsToKeep(now) {
  return [...stacks].map(([host, over]) => {
    const id = front(host, now), leaves = elements.get(id)?.states.some((it) => selections.get(it).leaves);
    return [host, leaves ? tabs.get(host) : id, over[0].id];
  }).filter(([, id, first]) => id !== undefined && id !== first);
}

function showTabs(now) {
  for (const list of document.querySelectorAll("[data-tabs]")) {
    const inFront = front(list.dataset.tabs, now);
    for (const tab of list.children) {
      const on = tab.dataset.tab === inFront;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
    }
  }
  for (const node of document.querySelectorAll("[data-over]")) node.hidden = behind(elements.get(node.dataset.over), now);
}

for (const list of document.querySelectorAll("[data-tabs]")) {
  list.addEventListener("click", ({ target }) => { if (target.dataset.tab !== undefined) turnTo(list.dataset.tabs, target.dataset.tab); });
  list.addEventListener("keydown", (event) => {
    const all = [...list.children], at = all.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const tab = all[(to + all.length) % all.length];
    turnTo(list.dataset.tabs, tab.dataset.tab);
    tab.focus();
  });
}
