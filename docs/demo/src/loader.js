// The only script that the page has as text: unpacks the rest of the page and starts it.

import { split } from "./container.js";
import { decode } from "./dense.js";

async function unpack() {
  const payload = document.getElementById("payload");
  const packed = decode(payload.textContent, Number(payload.dataset.length));
  payload.remove();
  // gzip ends with a checksum of what was packed: a damaged page is refused.
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return split(new Uint8Array(await new Response(stream).arrayBuffer()));
}

async function start() {
  const parts = await unpack();
  const text = (name) => new TextDecoder().decode(parts[name]);
  document.head.append(Object.assign(document.createElement("style"), { textContent: text("page.css") }));
  document.body.innerHTML = text("page.html");
  globalThis.demoParts = parts;
  document.body.append(
    Object.assign(document.createElement("script"), { type: "module", textContent: text("main.js") }),
  );
}

start().catch((problem) => {
  const old = typeof DecompressionStream === "undefined";
  const says = old
    ? "This page needs a browser of 2023 or later."
    : `This page is damaged (${problem}). Please get it again.`;
  document.getElementById("loading").textContent = says;
});
