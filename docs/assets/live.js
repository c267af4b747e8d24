// Live pages are as tall as what they show, and light or dark as the site is. Over file:// a page is a stranger to the frame around it:
// then the style sheet says how tall, and the reader's system says how light.
for (const frame of document.querySelectorAll("iframe.live")) {
  const follow = () => {
    let inside;
    try { inside = frame.contentDocument; } catch { /* another origin */ }
    if (!inside?.body || inside.URL === "about:blank" || inside.readyState !== "complete") return;
    new ResizeObserver(() => { frame.style.height = `${inside.body.offsetHeight + 24}px`; }).observe(inside.body);
    const paint = () => {
      const button = inside.getElementById("theme"); // says what a click would make of the page
      if (button && button.textContent !== (document.body.dataset.mdColorScheme === "slate" ? "light" : "dark")) button.click();
    };
    new MutationObserver(paint).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
    paint();
  };
  frame.addEventListener("load", follow);
  follow();
}
