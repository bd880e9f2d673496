// Chromium, and the page as a visitor has it: opened from the file system.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

/** The committed one, or that of the variable PAGE. */
export const PAGE = process.env.PAGE ? pathToFileURL(process.env.PAGE) : new URL("../index.html", import.meta.url);

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Headless Chromium; CHROMIUM names another one than Debian's. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** The page with what the address says, ready; anything that it complains of or asks the network for
 * ends up in `page.complaints`. */
export async function open(browser, hash, { address = PAGE.href, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(address)) page.complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(`${address}#${hash}`);
  await page.waitForSelector("#status");
  return page;
}

/** Ends with the page, which must have had nothing to complain of. */
export async function close(page) {
  assert.deepEqual(page.complaints, []);
  await page.context().close();
}

/** What each episode, or block of steps, paid. */
export function paid(page) {
  return page.$$eval("#numbers tr", (rows) => rows.map((row) => Number(row.cells[1].textContent)));
}

export async function episodes(page, count) {
  for (let episode = 0; episode < count; episode++) await page.click("#episode");
}

export const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

/** A click on the picture, both parts from 0 to 1. */
export async function clickPicture(page, x, y) {
  const { width, height } = await page.locator("#picture").boundingBox();
  await page.click("#picture", { position: { x: x * width, y: y * height } });
}

export const label = (page) => page.getAttribute("#picture", "aria-label");
export const fingerprint = (page) => page.textContent("#fingerprint");
