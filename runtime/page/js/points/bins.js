// The bin of an atlas that was chosen: which of its vectors lie in it, for the elements that follow.

const choosers = new Map(); // selection -> its chooser
const chooserOf = ({ map, by }) => choosers.get(by) ?? new BinChooser(elements.get(map), by);

class BinChooser {
  constructor(element, id) {
    Object.assign(this, { element, id, handlers: [], shown: null });
    choosers.set(id, this);
    prepares.push((now) => this.update(now));
  }

  on(_, handler) { this.handlers.push(handler); }

  update(now) {
    const index = now.get(this.id);
    if (index === this.shown) return;
    this.shown = index;
    const mask = index === null ? null : this.mask(selections.get(this.id).atoms[index][0]);
    for (const handler of this.handlers) handler(mask);
  }

  // The vectors in the bin of a key that ends in "bins=6 row=2 column=3".
  mask(key) {
    const [side, row, column] = key.match(/bins=(\d+) row=(\d+) column=(\d+)$/).slice(1).map(Number), { bins } = this.element;
    const zoom = bins.side.indexOf(side), slot = row * side + column, mask = new Uint8Array(bins.place.length);
    const cell = bins.slot.findIndex((it, i) => it === slot && bins.zoom[i] === zoom);
    for (let i = 0; i < bins.count[cell]; i++) mask[bins.member[bins.start[cell] + i]] = 1;
    return mask;
  }
}
