// ---- a film: its frames are the inputs, and a player chooses among them ----------------------------------------------

for (const player of document.querySelectorAll("[data-player]")) {
  const id = player.dataset.player, { times } = selections.get(id), button = player.querySelector("[data-play]");
  const rate = player.querySelector("[data-speed]");
  const last = times.length - 1, length = times[last] + (times[last] - times[last - 1]); // the last frame lasts as long as the one before
  let began = 0, from = 0; // the time of the clock, and of the film, at the last start

  const seconds = (clock) => from + ((clock - began) / 1000) * Number(rate.value);
  const frameAt = (second) => Math.max(times.findLastIndex((time) => time <= second), 0);
  const show = (runs) => {
    button.setAttribute("aria-label", runs ? "Pause" : "Play");
    button.classList.toggle("runs", runs);
  };

  // The film keeps its time: frames that the browser has no time to draw are left out.
  function tick(clock) {
    if (!playing.has(id)) return;
    choose([[id, frameAt(seconds(clock) % length)]]);
    requestAnimationFrame(tick);
  }

  function start() {
    if (matchMedia("print").matches) return;
    playing.add(id), show(true);
    began = performance.now(), from = times[choices().get(id)];
    requestAnimationFrame(tick);
  }

  function stop() {
    if (!playing.delete(id)) return;
    show(false);
    remember(false), announce([id]);
  }

  button.addEventListener("click", () => (playing.has(id) ? stop() : start()));
  rate.addEventListener("input", () => playing.has(id) && (playing.delete(id), start()));
  player.querySelector("input").addEventListener("input", stop);
  document.addEventListener("visibilitychange", () => document.hidden && stop());
}
