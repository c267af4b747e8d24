// Rows of data with what is calculated from them. Layers of the same data and transforms share one table.

class Table {
  constructor(rows, transforms, params) {
    this.raw = rows;
    this.steps = transforms.map(({ calculate, as, filter }) => ({ as, ...pick(params.compile(calculate ?? filter)) }));
    // Where a step overwrites what an earlier one or itself reads, steps cannot be taken one by one.
    const written = new Set(), read = new Set();
    this.plain = this.steps.every(({ as, fields }) => {
      fields.forEach((field) => read.add(field));
      const clash = as && (read.has(as) || written.has(as));
      written.add(as);
      return !clash;
    });
    this.rows = rows.map((row) => ({ ...row }));
    this.shown = rows.map(() => true);
    this.dirty = new Set(["*"]); // fields that changed with the last update; "*": all, "?": which rows are shown
    this.fresh = true;
  }

  update(changed) {
    const dirty = (this.dirty = new Set()), first = this.fresh;
    this.fresh = false;
    if (!first && !this.plain && this.steps.some((step) => meet(step.params, changed))) {
      this.rows.forEach((row, i) => { for (const key in row) row[key] = this.raw[i][key]; });
      this.steps.forEach((step) => this.take(step, dirty));
      dirty.add("*");
    } else
      for (const step of this.steps) if (first || meet(step.params, changed) || meet(step.fields, dirty)) this.take(step, dirty);
    if (first) dirty.add("*");
  }

  take({ as, read }, dirty) {
    const { rows, shown } = this;
    let differs = false;
    for (let i = 0; i < rows.length; i += 1) {
      const value = read(rows[i]);
      if (as ? Object.is(rows[i][as], value) : shown[i] === Boolean(value)) continue;
      if (as) rows[i][as] = value;
      else shown[i] = Boolean(value);
      differs = true;
    }
    if (differs) dirty.add(as ?? "?");
  }
}

const pick = ({ read, params, fields }) => ({ read, params, fields });
