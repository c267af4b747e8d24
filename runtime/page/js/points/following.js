// Elements that follow the lasso of a map: their numbers are computed again from those of the chosen points. As in
// runtime/statistics/reductions.py, and styles/histogram.py for counts.

const [NO_GROUP, MOST_IN_ROW, SHARED] = [65535, 24, 3]; // as in view/points/following.py, statistics/spectrum.py
const exampleWords = (count) => `${countWords(count)} ${count === 1 ? "example" : "examples"}`;

// One number of a list of finite ones, which may be put in order. As in runtime/statistics/reductions.py.
const REDUCTIONS = {
  sum: (values) => { let sum = 0; for (const it of values) sum += it; return sum; },
  mean: (values) => REDUCTIONS.sum(values) / values.length,
  max: (values) => { let most = -Infinity; for (const it of values) if (it > most) most = it; return most; },
  min: (values) => { let least = Infinity; for (const it of values) if (it < least) least = it; return least; },
  std: (values) => { const mean = REDUCTIONS.mean(values); let sum = 0; for (const it of values) sum += (it - mean) ** 2; return Math.sqrt(sum / values.length); },
  fraction: (values, above) => { let count = 0; for (const it of values) if (it > above) count++; return count / values.length; },
  quantile: (values, q) => { values.sort(); const at = q * (values.length - 1), low = Math.floor(at), high = Math.min(low + 1, values.length - 1); return values[low] + (values[high] - values[low]) * (at - low); },
};

class Follower {
  static async made(element, chart) {
    const { sections } = element.follows, bytes = await pointBytes(document.getElementById(`bbi-points-${element.name}`).textContent);
    return new Follower(element, element.follows.by ? chooserOf(element.follows) : chart, sectionsOf(sections, bytes));
  }

  constructor(element, chart, sections) {
    Object.assign(this, { element, chart, whole: element.frames, table: sections.get("vectors"), groups: sections.get("groups"), there: sections.get("there"), of: sections.get("of") });
    this.examples = this.groups.length;
    this.room = new Float64Array(this.examples); // for the numbers of one cell
    chart.on("choose", (mask) => this.update(mask));
  }

  update(mask) {
    const { element, whole } = this;
    this.chosen = mask && this.enclosed(mask);
    element.frames = mask ? whole.map((frames, panel) => frames.map((frame, state) => (state < frames.length - 1 ? this.frame(frame, panel, state) : frame))) : whole;
    element.said = mask ? this.sentence() : null;
    const view = views.get(element.host);
    if (view) view.signal(`frames_${element.name}`, element.frames).run();
  }

  // The numbers of the examples that are points in the lasso, or have a position there.
  enclosed(mask) {
    const { of, there } = this, inside = of ? new Uint8Array(this.examples) : mask;
    if (of) mask.forEach((it, i) => { if (it) inside[of[i]] = 1; });
    return [...inside.keys()].filter((i) => inside[i] && there[i]);
  }

  // "24 of 90 examples in the lasso"
  words(count) {
    const all = exampleWords(this.element.follows.count);
    return this.of ? `${countWords(count)} of ${all} ${count === 1 ? "has" : "have"} a position in the ${this.inside}` : `${countWords(count)} of ${all} in the ${this.inside}`;
  }

  get inside() { return this.element.follows.by ? "bin" : "lasso"; }

  frame(frame, panel, state) {
    const { redraw, cells, order } = this.element.follows, { chosen } = this, remark = this.words(chosen.length);
    if (redraw === "rows") return this.row(frame, remark);
    if (redraw === "nearest") return this.nearest(frame, remark);
    if (redraw === "counts") return { ...frame, ...this.counts(this.values(cells[panel][state][0]).sort()) };
    if (order.length) return { ...frame, ...this.ranked(frame, cells[panel][state], state), remark };
    const values = frame.values.map((line, slot) => line.map((value, series) => {
      const cell = this.cell(panel, state, slot, series);
      return cell >= 0 ? this.reduced(cell) : value;
    }));
    return { ...frame, values, remark };
  }

  // The cell of a number; -1 where it is the same whatever is chosen.
  cell(panel, state, slot, series) {
    const { cells, wide } = this.element.follows;
    return series < wide ? cells[panel][state][slot * wide + series] ?? -1 : -1;
  }

  // The finite numbers of the chosen points in a cell.
  values(cell) {
    const { vectors } = this.element.follows, group = Math.floor(cell / vectors), from = (cell % vectors) * this.examples, { chosen, table, groups, room } = this;
    let count = 0;
    for (let n = 0; n < chosen.length; n++) {
      const i = chosen[n], value = table[from + i];
      if (groups[i] === group && value - value === 0) room[count++] = value;
    }
    return room.subarray(0, count);
  }

  reduced(cell) {
    const { reduction, level } = this.element.follows, values = this.values(cell);
    return values.length ? Number(REDUCTIONS[reduction](values, level).toPrecision(4)) : null;
  }

  // The first of all atoms, by the numbers of the chosen points. Equal numbers: the earlier atom.
  ranked(frame, cells, state) {
    const { order: [, ascending, magnitude], candidates } = this.element.follows;
    const found = cells.map((cell, n) => [this.reduced(cell), candidates[state][n]]).filter(([value, atom]) => value !== null && atom >= 0);
    const key = ([value]) => (magnitude ? Math.abs(value) : value) * (ascending ? 1 : -1);
    found.sort((a, b) => key(a) - key(b));
    return { atoms: frame.atoms.map((_, slot) => found[slot]?.[1] ?? -1), values: frame.values.map((_, slot) => [found[slot]?.[0] ?? null]) };
  }

  counts(values) {
    const { edges } = this.element.follows, most = edges.length - 1, top = values.at(-1);
    const full = top !== undefined && top !== 0 && values.filter((it) => it === top).length >= SHARED ? values.filter((it) => it === top).length : 0;
    const zeros = values.filter((it) => it === 0).length, rest = values.filter((it) => it !== 0 && !(full && it === top)), bins = new Array(most).fill(0);
    for (const value of rest) {
      let low = 0, high = most; // the last edge that is not above the value; the last bin is closed
      while (high - low > 1) { const middle = (low + high) >> 1; edges[middle] <= value ? (low = middle) : (high = middle); }
      bins[low]++;
    }
    const parts = [this.words(values.length)];
    if (zeros) parts.push(`zero on ${countWords(zeros)}`);
    if (full) parts.push(`at the ceiling of ${shortWords(top)} on ${countWords(full)}`);
    if (rest.length) parts.push(`median of the ${zeros || full ? "others" : "values"} ${shortWords(REDUCTIONS.quantile(rest, 0.5))}`);
    if (this.chosen.length > values.length) parts.push(`${countWords(this.chosen.length - values.length)} without a number left out`);
    const frame = this.whole[0][0], notes = [...frame.notes];
    notes[most + 1] = full ? `at ${shortWords(top)}` : "";
    return { values: [[zeros || null], ...bins.map((it) => [it]), [full || null]], notes, remark: parts.join(", ") };
  }

  // The first of the chosen examples, in the order of the dataset.
  row(frame, remark) {
    const { slots, whole, count } = this.element.follows, chosen = new Set(this.chosen);
    const shown = slots.flatMap((point, slot) => (chosen.has(point) ? [slot] : [])), most = Math.min(MOST_IN_ROW, count);
    const line = (list, empty) => (list.length ? Array.from({ length: most }, (_, i) => (i < shown.length ? list[shown[i]] ?? empty : empty)) : []);
    const words = shown.length > most ? `the first ${most} of ${exampleWords(shown.length)} in the ${this.inside}, of ${countWords(count)} in all` : remark;
    return { ...frame, atoms: line(whole.atoms, -1), pictures: line(whole.pictures, -1), values: line(whole.values, []), notes: line(whole.notes, ""), remark: words };
  }

  // The bin along whose mean the mean of the chosen points is longest: the one at the smallest angle.
  nearest(frame, remark) {
    const { whole, vectors } = this.element.follows, { chosen, table, groups, examples } = this;
    if (!chosen.length) return { ...frame, atoms: [-1], pictures: [-1], notes: [""], remark };
    let best = 0, most = -Infinity;
    for (let cell = 0; cell < vectors; cell++) {
      let sum = 0;
      for (const i of chosen) sum += table[cell * examples + i];
      if (sum > most) [best, most] = [cell, sum];
    }
    const inside = chosen.filter((i) => groups[i] === best).length, of = chosen.length, noun = this.of ? "example" : "point";
    const words = of === 1 ? `icon of the nearest bin: your ${noun} lies ${inside ? "" : "not "}in it` : `icon of the nearest bin; ${countWords(inside)} of your ${countWords(of)} ${noun}s ${inside === 1 ? "lies" : "lie"} in it`;
    return { ...frame, atoms: [whole.atoms[best]], pictures: [whole.pictures[best]], notes: [whole.notes[best] ?? ""], remark: words };
  }

  // The largest number of what is chosen, as the pieces of an answer; the remark says how many there are.
  sentence() {
    const { element, chosen } = this, now = choices(), state = stateOf(element, now), found = [];
    if (element.follows.redraw !== "values" || !chosen.length) return [];
    element.frames.forEach((panel, number) => state < panel.length - 1 && panel[state].values.forEach((line, slot) => line.forEach((value, series) => {
      const atom = panel[state].atoms[slot] ?? -1, follows = element.follows.order.length || this.cell(number, state, slot, series) >= 0;
      if (value !== null && atom >= 0 && follows) found.push([value, atom, panel[state].series[series]]);
    })));
    if (!found.length) return [];
    const [value, atom, series] = found.reduce((a, b) => (Math.abs(b[0]) > Math.abs(a[0]) ? b : a));
    const several = new Set(found.map((it) => it[2])).size > 1;
    return [`In the ${this.inside}, the largest number is `, [`${shortWords(value)}, of ${element.atoms[atom][1]}`, atom], several && series ? ` for ${series}.` : "."];
  }
}

// What follows a map, in words for a screen reader.
function followedWords(map) {
  const now = choices();
  return data.elements.filter((it) => it.follows?.map === map.id && it.said && !behind(it, now)).slice(0, 3).map((it) => `${it.title}: ${ended(sentenceOf(it.said)) || it.frames[0][stateOf(it, now)].remark}`);
}
