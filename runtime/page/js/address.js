// ---- the address: #a=output+class=282&cell=... so that a link shows this state --------------------------------------

const pack = (text) => encodeURIComponent(text).replace(/%20/g, "+").replace(/%3D/g, "=").replace(/%2C/g, ",").replace(/%3A/g, ":");
const unpack = (text) => decodeURIComponent(text.replace(/\+/g, " "));

function remember() {
  const hash = [...chosen].filter(([id]) => !selections.get(id).leaves).map(([id, index]) => `${pack(id)}=${pack(selections.get(id).atoms[index][0])}`).join("&");
  try { history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search); } catch { /* framed without an address */ }
}

function recall() {
  chosen.clear();
  for (const part of location.hash.slice(1).split("&")) {
    try {
      const cut = part.indexOf("=");
      const id = unpack(part.slice(0, cut));
      const index = indexOfKey(selections.get(id).atoms, unpack(part.slice(cut + 1)));
      if (index >= 0) chosen.set(id, index);
    } catch { /* not one of this page's: ignored */ }
  }
}

