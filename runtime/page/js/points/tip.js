// What is known of the point that is pointed at: its title, its columns, its thumbnail.

const TIP_SIDE = 96;

class PointTip {
  constructor(chart) {
    this.chart = chart;
    this.picture = make("canvas", { width: 2 * TIP_SIDE, height: 2 * TIP_SIDE });
    this.title = make("strong");
    this.list = make("dl");
    this.node = make("div", { className: "tip", hidden: true }, this.picture, make("div", {}, this.title, this.list));
    this.node.setAttribute("aria-hidden", "true"); // a screen reader hears the same words: words()
  }

  show(number) {
    this.node.hidden = number < 0;
    if (number < 0) return;
    const { set, view, inner } = this.chart;
    this.title.textContent = set.title(number);
    this.list.replaceChildren(...set.columns.filter((column) => !column.missing(number)).map((column) =>
      make("div", {}, make("dt", { textContent: column.name }), make("dd", { textContent: column.words(number) }))));
    this.paint(number);
    const [x, y] = view.pixel(set.places[2 * number], set.places[2 * number + 1]), right = x > inner.wide / 2, low = y > inner.high / 2;
    Object.assign(this.node.style, {
      left: right ? "" : `${inner.left + x + 14}px`, right: right ? `${inner.wide - x + 14}px` : "",
      top: low ? "" : `${Math.max(y - 8, 0)}px`, bottom: low ? `${Math.max(this.chart.plot.clientHeight - y - 8, 0)}px` : "",
    });
  }

  async paint(number) {
    const found = this.chart.set.thumbnail(number);
    this.picture.hidden = !found;
    if (!found) return;
    const [sheet, x, y, side] = found, pen = this.picture.getContext("2d");
    pen.clearRect(0, 0, 2 * TIP_SIDE, 2 * TIP_SIDE);
    const image = await sheet;
    if (this.chart.hovered === number) pen.drawImage(image, x, y, side, side, 0, 0, 2 * TIP_SIDE, 2 * TIP_SIDE);
  }

  // The same in words.
  words(number) {
    const { set } = this.chart;
    return [set.title(number), ...set.columns.filter((column) => !column.missing(number)).map((column) => `${column.name} ${column.words(number)}`)].join(", ");
  }
}
