// Frames of live pages take the height of their content and the site's light or dark mode. Over file://, a frame has another origin than
// the site: then the style sheet sets the height, and the system the mode.
for (const frame of document.querySelectorAll("iframe.live")) {
  const follow = () => {
    let inside;
    try { inside = frame.contentDocument; } catch { /* another origin */ }
    if (!inside?.body || inside.URL === "about:blank" || inside.readyState !== "complete") return;
    new ResizeObserver(() => { frame.style.height = `${inside.body.offsetHeight + 24}px`; }).observe(inside.body);
    const paint = () => {
      const button = inside.getElementById("theme"); // its text is the mode that a click switches to
      if (button && button.textContent !== (document.body.dataset.mdColorScheme === "slate" ? "light" : "dark")) button.click();
    };
    new MutationObserver(paint).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
    paint();
  };
  frame.addEventListener("load", follow);
  follow();
}
