// The page: what its controls do, and what is drawn when.

import { ENVIRONMENTS } from "./environments.js";
import { Agent } from "./machine.js";
import { colours, prepare } from "./pictures/canvas.js";
import { paintCurve, paintSteps } from "./pictures/curve.js";
import { motorOf } from "./pictures/motor.js";
import { paintRing } from "./pictures/ring.js";
import { Pointer } from "./pointer.js";
import { compare, show } from "./proof.js";
import { Session } from "./session.js";
import { describe, recite } from "./words.js";

const $ = (id) => document.getElementById(id);
const number = (value) => Math.round(value).toLocaleString("en");

/** Steps a second of each place of the slider. */
const PACES = [1, 2, 5, 10, 25, 100, 500, 2000, Number.POSITIVE_INFINITY];
/** Milliseconds of a frame that steps may take. */
const BUDGET = 12;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

class Page {
  constructor(module, models, golden) {
    Object.assign(this, { module, models, golden });
    const wanted = new URLSearchParams(location.hash.slice(1));
    this.seed = Number(wanted.get("seed") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    this.playing = !stillness.matches && wanted.get("paused") === null;
    this.owed = 0;
    this.rate = { steps: 0, since: performance.now(), value: 0 };
    this.pointer = new Pointer($("picture"), this);
    this.#listWorlds();
    this.#listen();
    this.open(ENVIRONMENTS.find(({ name }) => name === wanted.get("world")) ?? ENVIRONMENTS[0]);
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** Shows a world, with an agent that knows nothing of it. */
  open(environment) {
    this.session = new Session(this.module, this.models, environment, this.seed);
    this.session.setTemperature(Number($("temperature").value));
    this.session.wish(environment.first);
    document.querySelector(`input[value="${environment.name}"]`).checked = true;
    recite(this.session);
    $("motor").hidden = environment.name !== "servo";
    $("steps-box").hidden = !environment.endsEarly;
    $("picture-box").style.setProperty("--aspect", environment.picture.aspect);
    this.#showMotor();
    this.pointer.begin();
    this.note("");
    this.#prove();
    this.draw();
  }

  /** A visitor's choice becomes the task. */
  wish(numbers) {
    this.session.wish(numbers);
    this.note("A new task, so its memory was emptied.");
    this.draw();
  }

  note(text) {
    $("note").textContent = text;
  }

  draw() {
    const { session } = this;
    const theme = colours();
    const picture = prepare($("picture"));
    session.environment.picture.paint(picture, session, theme, this.pointer.shown());
    paintCurve($("curve"), session, theme);
    if (session.environment.endsEarly) paintSteps($("steps"), session, theme);
    paintRing($("ring"), session, theme);
    describe(session, this.rate.value, this.playing);
  }

  step() {
    this.session.step();
    this.rate.steps += 1;
  }

  #listWorlds() {
    $("world-list").append(
      ...ENVIRONMENTS.map(({ name, title }) => {
        const label = document.createElement("label");
        const input = Object.assign(document.createElement("input"), { type: "radio", name: "world", value: name });
        label.append(input, title);
        return label;
      }),
    );
  }

  #listen() {
    const on = (id, event, act) => $(id).addEventListener(event, act);
    on("world-list", "change", ({ target }) => this.open(ENVIRONMENTS.find(({ name }) => name === target.value)));
    on("play", "click", () => this.#play(!this.playing));
    on("step", "click", () => this.#byHand(() => this.step()));
    on("episode", "click", () => this.#byHand(() => this.#episode()));
    on("fresh", "click", () => this.#fresh());
    on("forget", "click", () => {
      this.session.forget();
      this.note("Its memory is empty: it has to learn this task again.");
      this.draw();
    });
    on("cut", "click", () => this.#cut());
    on("pace", "input", () => this.#showPace());
    on("temperature", "input", ({ target }) => {
      this.session.setTemperature(Number(target.value));
      this.#showTemperature();
    });
    for (const id of ["speed", "keep", "pull"]) on(id, "input", () => this.#buildMotor());
    on("prove", "click", () => this.#proveAll());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(document.querySelector("main"));
    this.#showPace();
    this.#showTemperature();
    this.#play(this.playing);
  }

  #play(playing) {
    this.playing = playing;
    $("play").textContent = playing ? "Pause" : "Play";
    this.owed = 0;
  }

  #byHand(act) {
    this.#play(false);
    act();
    this.draw();
  }

  /** To the end of the episode, or of the block of steps that is a point of the curve. */
  #episode() {
    const { points } = this.session;
    while (this.session.points === points) this.step();
  }

  #fresh() {
    this.session.freshTask(crypto.getRandomValues(new Uint32Array(1))[0]);
    this.#showMotor();
    this.pointer.begin();
    this.note("Another task, drawn from those it was never trained on. Its memory was emptied.");
    this.draw();
  }

  #cut() {
    const kept = this.session.cutPower().length;
    const { filled } = this.session.memory;
    const steps = filled === 1 ? "the one step" : `the ${filled} steps`;
    const memory = filled === 0 ? " of a memory that was still empty" : `, ${steps} it knew`;
    this.note(
      `The agent was destroyed with all its memory. This page had kept ${number(kept)} bytes${memory}. A new agent read them and goes on as if nothing had happened.`,
    );
    this.draw();
    if (stillness.matches) return;
    $("power").hidden = false;
    setTimeout(() => {
      $("power").hidden = true;
    }, 900);
  }

  #buildMotor() {
    this.wish(["speed", "keep", "pull"].map((id) => Number($(id).value)));
    this.#showMotor(false);
  }

  /** The sliders show the motor; its numbers are those of the nearest motor there is. */
  #showMotor(move = true) {
    if (this.session.environment.name !== "servo") return;
    const { speed, keep, pull } = motorOf(this.session.view);
    if (move) for (const [id, value] of Object.entries({ speed, keep, pull })) $(id).value = value;
    $("speed-value").textContent = `${number(Math.abs(speed))} counts a step, ${speed < 0 ? "backwards" : "forwards"}`;
    $("keep-value").textContent = `${number(100 * keep)} % of its speed each step`;
    $("pull-value").textContent = `by ${pull.toFixed(1)} counts a step`;
  }

  #showPace() {
    const pace = PACES[Number($("pace").value)];
    const text = Number.isFinite(pace) ? `${number(pace)} a second` : "as fast as it can";
    $("pace-value").textContent = text;
    $("pace").setAttribute("aria-valuetext", text);
  }

  #showTemperature() {
    const temperature = Number($("temperature").value);
    $("temperature-value").textContent = temperature === 0 ? "0, always the likeliest" : temperature.toFixed(1);
  }

  #prove() {
    const { environment, agent } = this.session;
    const golden = this.golden[environment.name];
    show($("proofs"), compare(agent, golden));
    $("proof-run").textContent =
      `${golden.environment}, task ${golden.task}, ${golden.episodes} episodes (${number(golden.steps)} steps), seed ${golden.seed}`;
  }

  async #proveAll() {
    const wrong = [];
    for (const { name, title } of ENVIRONMENTS) {
      $("proof-all").textContent = `Checking ${title} ...`;
      // The page is to show that before it is busy.
      await new Promise((resume) => setTimeout(resume));
      const agent = new Agent(this.module, this.models[name], 0);
      if (!compare(agent, this.golden[name]).every(({ same }) => same)) wrong.push(title);
    }
    $("proof-all").textContent =
      wrong.length === 0
        ? `All ${ENVIRONMENTS.length} worlds: every action and every output equal to the host's.`
        : `Different in: ${wrong.join(", ")}.`;
  }

  #frame(now) {
    const elapsed = Math.min(now - (this.before ?? now), 100);
    this.before = now;
    if (this.playing && $("power").hidden) this.#advance(elapsed);
    this.#measure(now);
    requestAnimationFrame((later) => this.#frame(later));
  }

  #advance(elapsed) {
    this.owed += (elapsed / 1000) * PACES[Number($("pace").value)];
    const due = Math.floor(this.owed);
    if (due === 0) return;
    const end = performance.now() + BUDGET;
    let done = 0;
    while (done < due && performance.now() < end) {
      this.step();
      done += 1;
    }
    // What there was no time for is not made up for.
    this.owed = done === due ? this.owed - due : 0;
    this.draw();
  }

  #measure(now) {
    const seconds = (now - this.rate.since) / 1000;
    if (seconds < 0.5) return;
    this.rate = { steps: 0, since: now, value: this.rate.steps / seconds };
  }
}

async function start() {
  const parts = globalThis.demoParts;
  delete globalThis.demoParts;
  const module = await WebAssembly.compile(parts["demo.wasm"]);
  const models = Object.fromEntries(ENVIRONMENTS.map(({ name }) => [name, parts[`models/${name}.adw`]]));
  const golden = JSON.parse(new TextDecoder().decode(parts["golden.json"]));
  globalThis.demo = new Page(module, models, golden);
}

start().catch((problem) => {
  document.body.prepend(
    Object.assign(document.createElement("p"), {
      role: "alert",
      textContent: `The page does not run here: ${problem.message}`,
    }),
  );
  throw problem;
});
