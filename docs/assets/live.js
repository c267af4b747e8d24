// Live pages are as tall as what they show, where the browser lets us measure: from a server, not over file://.
for (const frame of document.querySelectorAll("iframe.live")) {
  frame.addEventListener("load", () => {
    let inside;
    try { inside = frame.contentDocument?.documentElement; } catch { /* another origin: the height of the style sheet */ }
    if (!inside || frame.contentDocument.URL === "about:blank") return;
    const fit = () => { frame.style.height = `${inside.querySelector("body").offsetHeight + 24}px`; };
    new ResizeObserver(fit).observe(inside.querySelector("body"));
    fit();
  });
}
