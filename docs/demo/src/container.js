// What the page carries: named parts in one stream of bytes, which the builder deflates as a whole.
//
//   u32, little-endian    length of the list
//   JSON                  list of [name, length]
//   bytes                 the parts

const MODEL = /\.adw$/;

/** Weights are stored row by row with 128 added in every even column (docs/weights-format.md); without
 * that, small numbers are the frequent ones everywhere, and deflate makes 4 % less of them. It is its
 * own inverse. */
function recode(name, bytes) {
  if (!MODEL.test(name)) return bytes;
  return bytes.map((byte, place) => (place % 2 === 0 ? byte ^ 0x80 : byte));
}

/** One stream of `{name: bytes}`. */
export function join(parts) {
  const entries = Object.entries(parts).map(([name, bytes]) => [name, recode(name, bytes)]);
  const list = new TextEncoder().encode(JSON.stringify(entries.map(([name, bytes]) => [name, bytes.length])));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, list.length, true);
  const all = [length, list, ...entries.map(([, bytes]) => bytes)];
  const joined = new Uint8Array(all.reduce((sum, bytes) => sum + bytes.length, 0));
  let place = 0;
  for (const bytes of all) {
    joined.set(bytes, place);
    place += bytes.length;
  }
  return joined;
}

/** The `{name: bytes}` that `join` was given. */
export function split(joined) {
  const length = new DataView(joined.buffer, joined.byteOffset).getUint32(0, true);
  let place = 4 + length;
  const list = JSON.parse(new TextDecoder().decode(joined.subarray(4, place)));
  const parts = {};
  for (const [name, size] of list) {
    parts[name] = recode(name, joined.slice(place, place + size));
    place += size;
  }
  return parts;
}
