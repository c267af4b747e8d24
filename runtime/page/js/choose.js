// ---- choosing --------------------------------------------------------------------------------------------------------

const playing = new Set(); // selections that a player moves: neither a step in the address nor a word for each frame

// null goes back to the start. asked: by a click or a menu, and not by pointing.
function choose(changes, asked = false) {
  const news = changes.filter(([id, index]) => (chosen.has(id) ? chosen.get(id) : null) !== index);
  if (!news.length) return;
  for (const [id, index] of news) {
    index === null ? chosen.delete(id) : chosen.set(id, index);
    if (index !== null && selections.get(id).kind === "hover") recent.splice(0, recent.length, id, ...recent.filter((it) => it !== id));
  }
  bring(news.filter(([, index]) => index !== null).map(([id]) => id), choices());
  draw();
  if (news.every(([id]) => playing.has(id))) return;
  const kept = news.map(([id]) => selections.get(id)).filter((it) => !it.leaves);
  if (kept.length) remember(asked && kept.some((it) => it.kind !== "hover"));
  announce(news.filter(([, index]) => index !== null).map(([id]) => id));
}

// What is only pointed at is let go.
function leave(ids) {
  choose(ids.filter((id) => selections.get(id).leaves).map((id) => [id, null]));
}

