// Bytes as UTF-16 text, 15 or 16 bits a character. A text in base64 would make the page a third
// larger. Every character used is one that HTML and JavaScript leave as it is: no control characters,
// no markup, no halves of surrogate pairs, no noncharacters.

const FIRST_RANGE = { start: 0x00a0, end: 0xd800 };
const SECOND_RANGE = { start: 0xe000, end: 0xfdd0 };
const FIRST_SIZE = FIRST_RANGE.end - FIRST_RANGE.start;
const SYMBOLS = FIRST_SIZE + SECOND_RANGE.end - SECOND_RANGE.start;
// Truncated binary coding: so many symbols stand for 15 bits, the others for 16.
const SHORT = 65536 - SYMBOLS;

/** The text for the bytes. */
export function encode(bytes) {
  const units = [];
  let window = 0;
  let held = 0;
  let next = 0;
  const fill = (count) => {
    while (held < count) {
      window = (window << 8) | (bytes[next++] ?? 0);
      held += 8;
    }
  };
  // As long as there are bits that no symbol has taken.
  while (8 * next - held < 8 * bytes.length) {
    fill(16);
    let symbol = (window >>> (held - 15)) & 0x7fff;
    let taken = 15;
    if (symbol >= SHORT) {
      symbol = ((window >>> (held - 16)) & 0xffff) - SHORT;
      taken = 16;
    }
    held -= taken;
    window &= (1 << held) - 1;
    units.push(symbol < FIRST_SIZE ? symbol + FIRST_RANGE.start : symbol - FIRST_SIZE + SECOND_RANGE.start);
  }
  let text = "";
  for (const unit of units) text += String.fromCharCode(unit);
  return text;
}

/** The first `length` bytes that `encode` made the text of. */
export function decode(text, length) {
  const bytes = new Uint8Array(length);
  let window = 0;
  let held = 0;
  let next = 0;
  for (let place = 0; place < text.length && next < length; place++) {
    const unit = text.charCodeAt(place);
    const symbol = unit < FIRST_RANGE.end ? unit - FIRST_RANGE.start : unit - SECOND_RANGE.start + FIRST_SIZE;
    if (symbol < SHORT) {
      window = (window << 15) | symbol;
      held += 15;
    } else {
      window = (window << 16) | (symbol + SHORT);
      held += 16;
    }
    while (held >= 8 && next < length) {
      held -= 8;
      bytes[next++] = window >>> held;
    }
    window &= (1 << held) - 1;
  }
  return bytes;
}
