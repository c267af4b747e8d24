// Vega's expressions without eval: text -> tokens -> closures over the datum. Which names they may use is said in
// vega/drawable.py, which Python checks when a page is made: what fails here would be a fault of ours.

const TOKEN = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_$][\w$]*)|([!=]==?|[<>]=?|&&|\|\||[-+*/%!?:.,()[\]]))\s*/y;
const ESCAPES = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };
const WORDS = { null: null, true: true, false: false, NaN, PI: Math.PI, E: Math.E };
const UNARY = { "-": (a) => (d) => -a(d), "+": (a) => (d) => +a(d), "!": (a) => (d) => !a(d) };
const BINARY = {
  "||": [1, (a, b) => (d) => a(d) || b(d)],
  "&&": [2, (a, b) => (d) => a(d) && b(d)],
  "==": [3, (a, b) => (d) => a(d) == b(d)],
  "!=": [3, (a, b) => (d) => a(d) != b(d)],
  "===": [3, (a, b) => (d) => a(d) === b(d)],
  "!==": [3, (a, b) => (d) => a(d) !== b(d)],
  "<": [4, (a, b) => (d) => a(d) < b(d)],
  ">": [4, (a, b) => (d) => a(d) > b(d)],
  "<=": [4, (a, b) => (d) => a(d) <= b(d)],
  ">=": [4, (a, b) => (d) => a(d) >= b(d)],
  "+": [5, (a, b) => (d) => a(d) + b(d)],
  "-": [5, (a, b) => (d) => a(d) - b(d)],
  "*": [6, (a, b) => (d) => a(d) * b(d)],
  "/": [6, (a, b) => (d) => a(d) / b(d)],
  "%": [6, (a, b) => (d) => a(d) % b(d)],
};

const unquoted = (text) => text.slice(1, -1).replace(/\\(u[\da-fA-F]{4}|.)/gs, (_, it) => (it.length > 1 ? String.fromCharCode(parseInt(it.slice(1), 16)) : ESCAPES[it] ?? it));

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex, [, number, string, name, sign] = TOKEN.exec(text) ?? [];
    if (number) found.push({ value: Number(number) });
    else if (string) found.push({ value: unquoted(string) });
    else if (name) found.push({ name });
    else if (sign) found.push({ sign });
    else throw new SyntaxError(`unreadable at ${at}: ${text}`);
  }
  return found;
}

// An expression as { read, params, fields }: a function of the datum, the params and the datum's fields that it reads.
// Parts that read neither are computed once.
class Compiler {
  constructor(text, slots) {
    Object.assign(this, { text, slots, tokens: tokens(text), at: 0, params: new Set(), fields: new Set() });
    const node = this.choice();
    if (this.at < this.tokens.length) this.fail();
    this.read = node.read;
  }

  fail() { throw new SyntaxError(`not understood: ${this.text}`); }
  sees(sign) { return this.tokens[this.at]?.sign === sign; }
  takes(sign) { return this.sees(sign) && (this.at += 1); }
  wants(sign) { this.takes(sign) || this.fail(); }

  made(parts, read) {
    const fixed = parts.every((part) => part.fixed);
    if (!fixed) return { read, fixed };
    const value = read(null);
    return { read: () => value, fixed };
  }

  choice() {
    const test = this.binary(0);
    if (!this.takes("?")) return test;
    const yes = this.choice();
    this.wants(":");
    const no = this.choice(), [a, b, c] = [test.read, yes.read, no.read];
    return this.made([test, yes, no], (d) => (a(d) ? b(d) : c(d)));
  }

  binary(least) {
    let left = this.unary();
    for (;;) {
      const operator = BINARY[this.tokens[this.at]?.sign];
      if (!operator || operator[0] <= least) return left;
      this.at += 1;
      const right = this.binary(operator[0]);
      left = this.made([left, right], operator[1](left.read, right.read));
    }
  }

  unary() {
    const sign = this.tokens[this.at]?.sign;
    if (!Object.hasOwn(UNARY, sign ?? "")) return this.member();
    this.at += 1;
    const part = this.unary();
    return this.made([part], UNARY[sign](part.read));
  }

  member() {
    let node = this.primary();
    for (;;) {
      const whole = node.read;
      if (this.takes(".")) {
        const { name } = this.tokens[this.at++] ?? this.fail();
        node = this.made([node], (d) => whole(d)?.[name]);
      } else if (this.takes("[")) {
        const key = this.choice(), at = key.read;
        this.wants("]");
        node = this.made([node, key], (d) => whole(d)?.[at(d)]);
      } else return node;
    }
  }

  primary() {
    const token = this.tokens[this.at++] ?? this.fail();
    if ("value" in token) return { read: () => token.value, fixed: true };
    if (token.name) return this.takes("(") ? this.call(token.name) : this.name(token.name);
    if (token.sign === "(") {
      const inner = this.choice();
      this.wants(")");
      return inner;
    }
    return token.sign === "[" ? this.list("]", (items) => items) : this.fail();
  }

  call(name) {
    return this.list(")", Object.hasOwn(FUNCTIONS, name) ? (items) => FUNCTIONS[name](...items) : this.fail());
  }

  list(end, made) {
    const parts = [];
    while (!this.takes(end)) {
      if (parts.length) this.wants(",");
      parts.push(this.choice());
    }
    const reads = parts.map((part) => part.read);
    return this.made(parts, (d) => made(reads.map((read) => read(d))));
  }

  name(name) {
    if (Object.hasOwn(WORDS, name)) return { read: () => WORDS[name], fixed: true };
    if (name === "datum") {
      this.wants(".");
      const field = this.tokens[this.at++]?.name ?? this.fail();
      this.fields.add(field);
      return { read: (d) => d[field], fixed: false };
    }
    const slot = this.slots.get(name) ?? this.fail();
    this.params.add(name);
    return { read: () => slot.value, fixed: false };
  }
}
