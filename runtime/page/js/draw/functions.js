// The functions of Vega's expressions that our charts use, as Vega has them.

const FUNCTIONS = {
  abs: Math.abs, ceil: Math.ceil, exp: Math.exp, floor: Math.floor, log: Math.log, max: Math.max, min: Math.min, pow: Math.pow,
  round: Math.round, sqrt: Math.sqrt, sin: Math.sin, cos: Math.cos,
  clamp: (x, low, high) => Math.max(low, Math.min(high, x)),
  isArray: Array.isArray,
  isNumber: (x) => typeof x === "number",
  isString: (x) => typeof x === "string",
  isDefined: (x) => x !== undefined,
  isValid: (x) => x != null && x === x,
  isFinite: (x) => Number.isFinite(+x),
  toNumber: (x) => (x == null || x === "" ? null : +x),
  toString: (x) => (x == null || x === "" ? null : `${x}`),
  length: (x) => x?.length ?? 0,
  indexof: (list, x) => list?.indexOf(x) ?? -1,
  lastindexof: (list, x) => list?.lastIndexOf(x) ?? -1,
  slice: (list, from, to) => list.slice(from, to),
  join: (list, by) => list.join(by),
  lower: (text) => String(text).toLowerCase(),
  upper: (text) => String(text).toUpperCase(),
  trim: (text) => String(text).trim(),
  replace: (text, what, by) => String(text).replace(what, by),
  extent: (list) => {
    const numbers = list.filter((x) => x != null && !Number.isNaN(+x)).map(Number);
    return numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : [undefined, undefined];
  },
  format: (x, form) => formatter(form)(x),
};

// ---- numbers as d3-format prints them: [sign][,][.digits][~][type] with the types f, d, e, g, r, % ------------------

const formatters = new Map();
function formatter(form) {
  if (!formatters.has(form)) formatters.set(form, makeFormatter(form));
  return formatters.get(form);
}

function makeFormatter(form) {
  const [, sign, comma, digits, trim, kind] = /^([-+ ]?)(,?)(?:\.(\d+))?(~?)([fdegr%]?)$/.exec(form) ?? [];
  if (sign === undefined) throw new SyntaxError(`no format: ${form}`);
  const places = Number(digits ?? (kind ? 6 : 12));
  return (x) => {
    const negative = x < 0 || Object.is(x, -0);
    let text = Number.isNaN(+x) ? "NaN" : digitsOf(Math.abs(kind === "%" ? x * 100 : x), kind, places);
    if (trim || !kind) text = text.replace(/(\.\d*?)0+(?=$|e)/, "$1").replace(/\.(?=$|e)/, "");
    if (comma) text = text.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
    const minus = negative && (Number(text) !== 0 || sign === "+"); // as in d3, -0 keeps its minus where a sign is asked for
    return (minus ? "\u2212" : sign === "+" || sign === " " ? sign : "") + text + (kind === "%" ? "%" : "");
  };
}

function digitsOf(x, kind, places) {
  if (!Number.isFinite(x)) return "Infinity";
  if (kind === "f" || kind === "%") return x.toFixed(places);
  if (kind === "e") return x.toExponential(places);
  if (kind === "d") return Math.round(x).toFixed(0);
  if (kind !== "r") return x.toPrecision(Math.max(1, places));
  const [mantissa, power] = x.toExponential(Math.max(1, places) - 1).split("e"), figures = mantissa.replace(".", "");
  if (power < 0) return `0.${"0".repeat(-power - 1)}${figures}`;
  const whole = figures.padEnd(Number(power) + 1, "0"), point = Number(power) + 1;
  return whole.length > point ? `${whole.slice(0, point)}.${whole.slice(point)}` : whole;
}
