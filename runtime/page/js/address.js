// ---- the address: #a=output+class=282&cell=... so that a link shows this state --------------------------------------

const pack = (text) => encodeURIComponent(text).replace(/%20/g, "+").replace(/%3D/g, "=").replace(/%2C/g, ",").replace(/%3A/g, ":");
const unpack = (text) => decodeURIComponent(text.replace(/\+/g, " "));

const packName = (text) => encodeURIComponent(text).replace(/%20/g, "+");
const byAddress = new Map([...data.selections.map((s) => [s.id, s.id]), ...data.selections.map((s) => [s.address, s.id])]);
const OVER = "over."; // before the id of a picture: which of several maps lies over it

// What is asked (a click, a menu) is a step that Back takes back; what is pointed at is not.
function remember(step) {
  const kept = [...chosen].filter(([id]) => !selections.get(id).leaves).map(([id, index]) => `${packName(selections.get(id).address)}=${pack(selections.get(id).atoms[index][0])}`);
  const sets = pointCharts.length ? keepPoints(pointCharts) : [];
  const hash = [...kept, ...tabsToKeep(choices()).map(([host, tab]) => [OVER + host, tab || "none"]).concat(sets).map((pair) => pair.map(packName).join("="))].join("&");
  const address = hash ? `#${hash}` : location.pathname + location.search;
  try { history[step && parent === window ? "pushState" : "replaceState"](null, "", address); } catch { /* framed without an address */ }
}

function recall() {
  chosen.clear(), tabs.clear(), brought.clear();
  const named = new Map();
  for (const part of location.hash.slice(1).split("&")) {
    try {
      const cut = part.indexOf("=");
      const name = unpack(part.slice(0, cut)), tab = unpack(part.slice(cut + 1)), host = name.slice(OVER.length);
      named.set(name, tab);
      if (name.startsWith(OVER) && (tab === "none" || stacks.get(host)?.some((it) => it.id === tab))) tabs.set(host, tab === "none" ? "" : tab);
      const id = byAddress.get(name);
      const index = indexOfKey(selections.get(id).atoms, unpack(part.slice(cut + 1)));
      if (index >= 0) chosen.set(id, index);
    } catch { /* not one of this page's: ignored */ }
  }
  if (pointCharts.length) recallPoints(pointCharts, named);
}

addEventListener("hashchange", () => {
  const before = new Map(choices());
  recall();
  draw();
  const now = choices();
  announce([...now.keys()].filter((id) => now.get(id) !== before.get(id) && !selections.get(id).leaves));
});
