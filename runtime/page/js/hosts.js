// ---- what hosts a page in a frame: notebooks and the live preview

// A notebook, which has this page in a frame without rights, gets its height, and nothing else.
const reportHeight = () => { if (parent !== window) parent.postMessage({ bbi: "height", pixels: document.body.getBoundingClientRect().height }, "*"); };
new ResizeObserver(reportHeight).observe(document.body); // silent while the frame is out of sight
// The live preview, which has this page in a frame of its own, brings pictures as they are made: [[number, address], ...].
addEventListener("bbi-pictures", async ({ detail }) => {
  const made = detail.map(([number, uri]) => [number, image(uri)]);
  await Promise.allSettled(made.map(([, it]) => it.decode()));
  pictures = Object.defineProperties([], Object.getOwnPropertyDescriptors(pictures)); // Vega looks whether it is another; maps stay uncut
  for (const [number, value] of made) Object.defineProperty(pictures, number, { value, configurable: true, enumerable: true });
  for (const view of views.values()) try { view.signal("pictures", pictures).run(); } catch { /* draws none */ }
});
// It also takes lines that a reader adds to the text.
addEventListener("bbi-edits", () => { edits = true; });
