// A point set as the page holds it: gzip in base64. Numbers of several bytes are stored byte by byte ("planes": all
// lowest bytes, then the next), which compresses better. As in view/points/pack.py.

const SIZES = { u1: 1, u2: 2, u4: 4, f4: 4, bytes: 1 };
const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, bytes: Uint8Array };

async function pointBytes(text) {
  const letters = Uint8Array.fromBase64 ? null : atob(text);
  const bytes = letters === null ? Uint8Array.fromBase64(text) : new Uint8Array(letters.length);
  if (letters !== null) for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

// Name of each section -> its numbers. sections: [[name, kind, count], ...] in the order of the bytes.
function sectionsOf(sections, bytes) {
  const made = new Map();
  let from = 0;
  for (const [name, kind, count] of sections) {
    const size = SIZES[kind];
    if (size === 1) made.set(name, bytes.subarray(from, from + count));
    else {
      const whole = new Uint8Array(count * size);
      for (let plane = 0; plane < size; plane++)
        for (let i = 0, at = plane, own = from + plane * count; i < count; i++, at += size) whole[at] = bytes[own + i];
      made.set(name, new ARRAYS[kind](whole.buffer));
    }
    from += count * size;
  }
  return made;
}
