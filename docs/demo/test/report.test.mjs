// The page that `evaluate --out` and `reproduce` write, in headless Chromium: the golden file of its test.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";

const REPORT = new URL("../../../host/src/evaluate/report/golden/report.html", import.meta.url).href;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(String(error)));
  page.on("request", (request) => assert.ok(request.url() === REPORT, request.url()));
  await page.goto(REPORT);
  return page;
}

const visible = (page) => page.$$eval(".frame", (frames) => frames.map((frame) => frame.checkVisibility()));
const points = (page, frame) =>
  page.$eval(`.frame:nth-child(${frame}) polyline`, (path) => path.getAttribute("points").split(" ").length);

async function slide(page, which, value) {
  await page.$eval(
    which,
    (slider, to) => {
      slider.value = to;
      slider.dispatchEvent(new Event("input"));
    },
    value,
  );
}

test("the sliders show one episode, as far as they say", async () => {
  const page = await open();
  assert.deepEqual(await visible(page), [true, false]);
  await slide(page, ".episode", 1);
  assert.deepEqual(await visible(page), [false, true]);
  assert.equal(await page.textContent("output"), "episode 3, step 20 of 20");
  await slide(page, ".step", 3);
  assert.equal(await points(page, 2), 4);
  await page.click("button");
  await page.waitForFunction(() => document.querySelector("output").textContent === "episode 3, step 5 of 20");
});

test("without scripts, and printed, every episode is there as a whole", async () => {
  const still = await open({ javaScriptEnabled: false });
  assert.equal(await still.locator(".frame").count(), 2);
  for (const frame of await still.locator(".frame").all()) assert.ok(await frame.isVisible());
  assert.ok(!(await still.locator(".controls").isVisible()));
  const page = await open();
  await slide(page, ".step", 3);
  await page.emulateMedia({ media: "print" });
  await page.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
  assert.deepEqual(await visible(page), [true, true]);
  assert.equal(await points(page, 1), 21);
});

test("nothing is wider than a phone but what can be scrolled", async () => {
  const page = await open({ viewport: { width: 360, height: 700 } });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
});

test("axe finds nothing to complain of, light and dark", async () => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1200, 360]) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 700 } });
      const page = await context.newPage();
      await page.goto(REPORT);
      await page.addScriptTag({ path: axe });
      const { violations } = await page.evaluate(() => axe.run());
      const said = violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]);
      assert.deepEqual(said, [], `${colorScheme}, ${width} pixels wide`);
    }
  }
});
