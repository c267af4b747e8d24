// ---- sounds: a button for each that is shown; along a map a slider and a line that moves. Nothing plays by itself. ----

const audios = new Map(); // number of a sound -> its player, made when it is first asked for
const players = new Map(); // number of a sound -> what shows whether it plays, and where it is
let moving = 0; // the next frame in which lines move

function audioOf(number) {
  if (!audios.has(number)) {
    const audio = new Audio(data.sounds[number][0]);
    for (const event of ["play", "pause", "ended", "seeked", "timeupdate"]) audio.addEventListener(event, () => showPlaying(number));
    audios.set(number, audio);
  }
  return audios.get(number);
}

const lengthOf = (number) => data.sounds[number][1];
const isPlaying = (number) => audios.has(number) && !audios.get(number).paused;
const placeOf = (number) => (audios.has(number) ? Math.min(audios.get(number).currentTime, lengthOf(number)) : 0);
const clock = (seconds) => `${seconds.toFixed(2)} s`;

// One sound at a time: another that plays is stopped.
function play(number) {
  if (isPlaying(number)) return audioOf(number).pause();
  for (const [other, audio] of audios) if (other !== number) audio.pause();
  if (placeOf(number) >= lengthOf(number) - 0.02) audioOf(number).currentTime = 0;
  audioOf(number).play().catch(() => say("This browser cannot play the sound."));
}

function seek(number, seconds) {
  audioOf(number).currentTime = Math.min(Math.max(seconds, 0), lengthOf(number));
  showPlaying(number);
}

function showPlaying(number) {
  const now = placeOf(number), on = isPlaying(number);
  for (const player of players.get(number) ?? []) player(now, on);
  if (on && !moving) moving = requestAnimationFrame(function move() {
    const playing = [...audios.keys()].filter(isPlaying);
    playing.forEach((it) => (players.get(it) ?? []).forEach((player) => player(placeOf(it), true)));
    moving = playing.length ? requestAnimationFrame(move) : 0;
  });
}

// What an element shows of sounds now: the sound of each picture, its panel and what it is called.
function heardIn(element, now) {
  const state = shownState(element, now);
  return element.frames.flatMap((frames, panel) => (frames[state]?.pictures ?? []).map((picture, slot) => {
    const number = data.heard[picture], atom = element.atoms[frames[state].atoms[slot]]?.[1], label = frames[state].label.trim();
    const name = element.time ? label || element.title : [label, atom].filter(Boolean).join(", ");
    return number === undefined ? null : { panel, slot, number, name: name || element.title };
  })).filter(Boolean);
}

function showSounds(node, element, now) {
  const heard = heardIn(element, now), key = JSON.stringify(heard);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  for (const player of node.players ?? []) players.get(player.number)?.delete(player.show);
  const once = element.time ? heard.filter((it, i) => heard.findIndex((other) => other.number === it.number) === i) : heard;
  node.players = once.map((it) => made(element, it, heard));
  node.replaceChildren(...node.players.map((player) => player.node));
  for (const { number, show } of node.players) {
    players.set(number, (players.get(number) ?? new Set()).add(show));
    show(placeOf(number), isPlaying(number));
  }
}

function made(element, { number, name }, heard) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "play" });
  const words = data.sounds[number][2], sign = document.createElement("i");
  sign.setAttribute("aria-hidden", "true");
  const label = Object.assign(document.createElement("bdi"), { textContent: element.time ? "" : name });
  button.append(sign, label);
  button.addEventListener("click", () => play(number));
  const bar = element.time ? slider(number, name) : null;
  const node = document.createElement("div");
  node.className = bar ? "player along" : "player";
  node.append(button, ...(bar ? [bar.range, bar.output] : []));
  const show = (now, on) => {
    button.classList.toggle("on", on);
    button.setAttribute("aria-label", `${on ? "Pause" : "Play"} ${name}: ${words}`);
    bar?.show(now);
    if (element.time) heads(element, heard.filter((it) => it.number === number), now);
  };
  return { node, number, show };
}

function slider(number, name) {
  const length = lengthOf(number), range = Object.assign(document.createElement("input"), { type: "range", min: 0, max: length, step: 0.01, value: 0, autocomplete: "off" });
  range.setAttribute("aria-label", `Position in ${name}`);
  range.addEventListener("input", () => seek(number, Number(range.value)));
  const output = document.createElement("output");
  const show = (now) => {
    range.value = now;
    range.setAttribute("aria-valuetext", `${clock(now)} of ${clock(length)}`);
    output.textContent = `${clock(now)} / ${clock(length)}`;
  };
  return { range, output, show };
}

// The line over each panel of a sound, where the player is.
function heads(element, heard, now) {
  const chart = document.querySelector(`[data-chart="${CSS.escape(element.host)}"]`), host = elements.get(element.host);
  const outer = chart.getBoundingClientRect(), boxes = [...chart.querySelectorAll(`[class*="front_hit_"] path, image`)];
  for (const { panel, number } of heard) {
    const area = chart.querySelectorAll(`[class*="front_hit_"] path`)[ownPanel(element, host, panel)] ?? boxes[panel];
    if (!area) continue;
    const box = area.getBoundingClientRect();
    let head = chart.querySelector(`.playhead[data-panel="${panel}"]`);
    if (!head) head = chart.appendChild(Object.assign(document.createElement("div"), { className: "playhead" })), head.dataset.panel = panel, head.setAttribute("aria-hidden", "true");
    head.style.left = `${box.left - outer.left + (box.width * now) / lengthOf(number)}px`;
    head.style.top = `${box.top - outer.top}px`;
    head.style.height = `${box.height}px`;
    head.hidden = now === 0 && !isPlaying(number);
  }
}

// A click on the map goes there; `p` plays what the map is of, or the mark under the keyboard's cursor.
function listenToSounds(node, element) {
  const chart = document.querySelector(`[data-chart="${CSS.escape(element.host)}"]`);
  chart.addEventListener("click", (event) => {
    if (!element.time || drives(elements.get(element.host)).length) return;
    const areas = [...chart.querySelectorAll(`[class*="front_hit_"] path`)], panel = areas.findIndex((it) => inside(it.getBoundingClientRect(), event));
    const found = heardIn(element, choices()).find((it) => it.panel === Math.max(panel, 0));
    if (panel < 0 || !found) return;
    const box = areas[panel].getBoundingClientRect();
    seek(found.number, (lengthOf(found.number) * (event.clientX - box.left)) / box.width);
  });
  chart.addEventListener("keydown", (event) => {
    if (event.key !== "p" || event.altKey || event.ctrlKey || event.metaKey) return;
    const heard = heardIn(element, choices()), atom = views.get(element.host)?.signal(`cursor_${element.name}`) ?? -1;
    const found = heard.find((it) => !element.time && element.frames[it.panel][shownState(element, choices())].atoms[it.slot] === atom) ?? heard[0];
    if (found) play(found.number), event.preventDefault();
  });
}

const inside = (box, { clientX, clientY }) => clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;

for (const node of document.querySelectorAll("[data-sounds]")) {
  const element = elements.get(node.dataset.sounds);
  follows.push((now) => showSounds(node, element, now));
  listenToSounds(node, element);
}
