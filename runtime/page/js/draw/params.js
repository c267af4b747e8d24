// The params of a chart as a graph: setting some and settling computes anew those that depend on them, and no others.

class Params {
  constructor(list) {
    this.slots = new Map(list.map(({ name, value, expr }) => [name, { value, expr }]));
    this.compiled = new Map();
    this.changed = new Set(this.slots.keys());
    this.order = []; // [name, expression] of those that are computed, each after what it reads
    const seen = new Set();
    const visit = (name) => {
      const { expr } = this.slots.get(name);
      if (expr === undefined || seen.has(name)) return;
      seen.add(name);
      const expression = this.compile(expr);
      expression.params.forEach(visit);
      this.order.push([name, expression]);
    };
    this.slots.forEach((_, name) => visit(name));
  }

  // The same text is compiled once: marks of one chart have much in common.
  compile(text) {
    if (!this.compiled.has(text)) this.compiled.set(text, new Compiler(text, this.slots));
    return this.compiled.get(text);
  }

  get(name) {
    if (!this.slots.has(name)) throw new Error(`no param ${name}`);
    return this.slots.get(name).value;
  }

  set(name, value) {
    if (Object.is(this.get(name), value)) return;
    this.slots.get(name).value = value;
    this.changed.add(name);
  }

  // The names of all that changed since the last time.
  settle() {
    const { changed } = this;
    if (changed.size)
      for (const [name, { read, params }] of this.order)
        if (changed.has(name) || meet(params, changed)) {
          const value = read(null), slot = this.slots.get(name);
          if (!Object.is(slot.value, value)) slot.value = value, changed.add(name);
        }
    this.changed = new Set();
    return changed;
  }
}

const meet = (some, others) => {
  for (const it of some) if (others.has(it)) return true;
  return false;
};
