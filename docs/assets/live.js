// Live pages are as tall as what they show, where the browser lets us measure: from a server, not over file://.
for (const frame of document.querySelectorAll("iframe.live")) {
  const follow = () => {
    let inside;
    try { inside = frame.contentDocument; } catch { /* another origin: the height of the style sheet */ }
    if (!inside?.body || inside.URL === "about:blank" || inside.readyState !== "complete") return;
    new ResizeObserver(() => { frame.style.height = `${inside.body.offsetHeight + 24}px`; }).observe(inside.body);
  };
  frame.addEventListener("load", follow);
  follow();
}
