// Makes the page: `node pack.mjs WASM GOLDEN OUT`, called by `build`. With a fourth argument, another
// page, that one must have been made of the same sources, models and traces. Its WebAssembly module
// may differ, as its bytes depend on the compiler; the page's own checksums prove that one.

import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { join, split } from "./src/container.js";
import { decode, encode } from "./src/dense.js";

/** What the page may weigh. */
const MOST = 1_000_000;
const MODULE = "demo.wasm";
const here = (path) => new URL(path, import.meta.url);
const bytesOf = (text) => new TextEncoder().encode(text);

async function script(name, format) {
  const entryPoints = [here(`src/${name}.js`).pathname];
  const made = await build({
    entryPoints,
    format,
    bundle: true,
    minify: true,
    write: false,
    charset: "utf8",
    target: "es2022",
  });
  return made.outputFiles[0].text;
}

/** Lines of HTML without what sets them apart for people. */
const squeezed = (html) => html.replace(/\n\s*/g, "\n").trim();

async function parts(wasm, golden) {
  const style = await transform(readFileSync(here("src/page.css"), "utf8"), {
    loader: "css",
    minify: true,
    charset: "utf8",
  });
  const made = {
    "page.html": bytesOf(squeezed(readFileSync(here("src/page.html"), "utf8"))),
    "page.css": bytesOf(style.code),
    "main.js": bytesOf(await script("main", "esm")),
    "golden.json": readFileSync(golden),
    [MODULE]: readFileSync(wasm),
  };
  const models = readdirSync(here("../../models")).filter((file) => file.endsWith(".adw"));
  for (const model of models.sort()) {
    made[`models/${model}`] = readFileSync(here(`../../models/${model}`));
  }
  return made;
}

/** The page as it is before the loader has unpacked the rest; all but its payload. */
async function frame() {
  const shell = squeezed(readFileSync(here("src/shell.html"), "utf8"));
  const [before, after] = shell.replace("LOADER", () => "\u0000").split("PAYLOAD");
  return [before, after.replace("\u0000", await script("loader", "iife"))];
}

async function page(all) {
  const packed = gzipSync(join(all), { level: 9 });
  const [before, after] = await frame();
  const text = `\ufeff${before.replace("LENGTH", packed.length)}${encode(packed)}${after}`;
  return Buffer.from(text, "utf16le");
}

/** The parts of a page and what is around them. */
function unpack(file) {
  const text = file.toString("utf16le").replace(/^\ufeff/, "");
  const [, before, length, payload, after] = text.match(/^(.*data-length=")(\d+)(?:">)([^<]*)(<.*)$/s);
  return { before, after, parts: split(gunzipSync(decode(payload, Number(length)))) };
}

const equal = (a, b) => a !== undefined && b !== undefined && Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;

/** Names of what differs between two pages. */
function differences(one, other) {
  const names = [...new Set([...Object.keys(one.parts), ...Object.keys(other.parts)])];
  const parts = names.filter((name) => name !== MODULE && !equal(one.parts[name], other.parts[name]));
  return one.before === other.before && one.after === other.after ? parts : [...parts, "shell and loader"];
}

const [wasm, golden, out, other] = process.argv.slice(2);
const made = await page(await parts(wasm, golden));
if (made.length > MOST) throw new Error(`the page has ${made.length} bytes, at most ${MOST} are allowed`);
writeFileSync(`${out}.tmp`, made);
renameSync(`${out}.tmp`, out);
console.log(`${out}: ${made.length} bytes`);
if (other) {
  const different = differences(unpack(readFileSync(other)), unpack(made));
  if (different.length > 0) {
    console.error(`error: ${other} was made of other sources: ${different.join(", ")}; run docs/demo/build`);
    process.exit(1);
  }
  console.log(`${other} was made of the same sources, models and traces`);
}
