// On a wide page the column with the photo stays in view while a longer column beside it is read: as far down as it can.
function dock() {
  for (const part of document.querySelectorAll(".row > *")) {
    if (!part.matches(".photo") && !part.querySelector(".photo")) continue;
    part.classList.add("stays");
    const place = () => part.style.setProperty("--stays", `${Math.min(16, innerHeight - part.offsetHeight - 16)}px`);
    new ResizeObserver(place).observe(part);
    addEventListener("resize", place);
  }
}
dock();
