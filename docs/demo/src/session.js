// One agent in one task: what has happened, for the pictures.

import { Agent, World } from "./machine.js";

/** Task numbers from here on are of no model's training, where tasks have no end. */
const UNTRAINED = 1_000_000;
/** Points of the curve that are kept: a page may run for hours. */
const MOST_POINTS = 400;

/** CRC-32 (ISO-HDLC) of the bytes so far and one more. */
function crcStep(crc, byte) {
  let value = crc ^ 0xffffffff ^ byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return (value ^ 0xffffffff) >>> 0;
}

/** The context as the agent has it: which step is in which slot of the ring. */
class Memory {
  constructor(slots) {
    this.slots = new Array(slots).fill(null);
    this.next = 0;
    this.filled = 0;
  }

  add(step) {
    this.slots[this.next] = step;
    this.next = (this.next + 1) % this.slots.length;
    this.filled = Math.min(this.filled + 1, this.slots.length);
  }

  /** The remembered steps. */
  steps() {
    return this.slots.filter((step) => step !== null);
  }
}

/** An agent and a world, each in an instance of the module of its own. */
export class Session {
  /** `environment` is one of environments.js. */
  constructor(module, models, environment, seed) {
    this.module = module;
    this.environment = environment;
    this.model = models[environment.name];
    this.seed = seed;
    this.temperature = 1;
    this.world = new World(module, environment.name, seed);
    this.#startAgent();
    /** Tasks that the model was not trained on, where tasks have an end. */
    this.heldOut = this.world.heldOut(this.facts.card.generation);
    this.#begin();
  }

  /** Whether the model was trained on this very task. */
  get isTrained() {
    if (this.task === null) return false;
    const { tasks } = this.facts.card.generation;
    return this.world.tasks > 0 ? !this.heldOut.includes(this.task) : this.task < tasks;
  }

  get facts() {
    return this.agent.facts;
  }

  /** Takes up the task nearest to a wish, with an empty memory. */
  wish(numbers) {
    this.task = this.world.wish(numbers);
    this.#newTask();
  }

  /** Takes up a task that the model was not trained on, chosen by a large number. */
  freshTask(chance) {
    this.setTask(this.world.tasks > 0 ? this.heldOut[chance % this.heldOut.length] : UNTRAINED + (chance % UNTRAINED));
  }

  setTask(number) {
    this.world.setTask(number);
    this.task = number;
    this.#newTask();
  }

  /** Empties the agent's memory: for it the task is new. */
  forget() {
    this.agent.forget();
    this.#begin();
  }

  setTemperature(temperature) {
    this.temperature = temperature;
    this.agent.setTemperature(temperature);
  }

  /** Saves the agent's memory, destroys the agent, starts another and gives it the memory. The bytes
   * saved are returned. */
  cutPower() {
    const snapshot = this.agent.snapshot();
    this.agent = null;
    this.#startAgent();
    this.agent.restore(snapshot);
    return snapshot;
  }

  /** One step of the agent in its world. */
  step() {
    if (this.episodeEnded) this.#beginEpisode();
    const { environment, agent, world } = this;
    const before = this.view;
    const action = agent.act(world.observation());
    const { reward, done } = world.step(action);
    // A stream goes on where an episode would end; the agent never hears of it.
    agent.feedback(reward, done && !environment.stream, world.observation());
    this.view = world.look();
    this.memory.add({ action, reward, done, view: before, after: this.view });
    this.episode.push({ action, reward, view: this.view });
    this.steps += 1;
    this.fingerprint = crcStep(this.fingerprint, action);
    this.#addToCurve(reward, done);
    this.episodeEnded = done;
    return { action, reward, done };
  }

  /** Best and random value of a point of the curve. */
  references() {
    const share = this.environment.block ? this.environment.block / this.world.horizon : 1;
    return {
      best: this.environment.best(this.episode[0].view, this.world.horizon) * share,
      random: this.random * share,
    };
  }

  #startAgent() {
    this.agent = new Agent(this.module, this.model, this.seed);
    this.agent.setTemperature(this.temperature);
  }

  #newTask() {
    this.agent.forget();
    this.#begin();
  }

  /** Everything from the start, for an agent whose memory is empty. */
  #begin() {
    this.memory = new Memory(this.facts.window);
    this.steps = 0;
    this.fingerprint = 0;
    /** What the last episodes, or blocks of steps, paid: `{value, steps}`. */
    this.curve = [];
    /** How many there were in all. */
    this.points = 0;
    this.point = { value: 0, steps: 0 };
    this.episode = [];
    this.#beginEpisode();
    this.random = this.world.randomReturn(this.environment.randomEpisodes);
  }

  #beginEpisode() {
    this.lastEpisode = this.episode;
    this.world.begin();
    this.view = this.world.look();
    this.episode = [{ action: null, reward: 0, view: this.view }];
    this.episodeEnded = false;
  }

  #addToCurve(reward, done) {
    this.point.value += reward;
    this.point.steps += 1;
    const { block } = this.environment;
    if (block ? this.point.steps === block : done) {
      this.curve.push(this.point);
      this.points += 1;
      if (this.curve.length > MOST_POINTS) this.curve.shift();
      this.point = { value: 0, steps: 0 };
    }
  }
}
