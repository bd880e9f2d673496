// The WebAssembly module (docs/demo/wasm): one instance for the agent, another for the world.

/** An instance, and what its numbers mean. */
class Machine {
  constructor(module) {
    this.exports = new WebAssembly.Instance(module).exports;
  }

  /** The result of a call; throws what the module says was wrong. */
  call(name, ...values) {
    const result = this.exports[name](...values);
    if (result === -1) throw new Error(this.text());
    return result;
  }

  text() {
    const { memory, text, text_len } = this.exports;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, text(), text_len()));
  }

  put(bytes) {
    const place = this.exports.buffer(bytes.length);
    new Uint8Array(this.exports.memory.buffer, place, bytes.length).set(bytes);
  }

  bytes(length) {
    return new Uint8Array(this.exports.memory.buffer, this.exports.buffer(length), length).slice();
  }

  /** The words of an observation, in place. */
  observation(words) {
    return new Int32Array(this.exports.memory.buffer, this.exports.observation(), words);
  }

  /** `count` numbers of the view. */
  view(count) {
    return Array.from(new Float32Array(this.exports.memory.buffer, this.exports.view(), count));
  }
}

/** An agent: a model, its context, and the generator that draws its actions. */
export class Agent {
  constructor(module, model, seed) {
    this.machine = new Machine(module);
    this.machine.put(model);
    this.machine.call("start_agent", seed);
    /** What the module says of the model. */
    this.facts = JSON.parse(this.machine.text());
  }

  act(observation) {
    this.machine.observation(observation.length).set(observation);
    return this.machine.call("act");
  }

  feedback(reward, ended, observation) {
    this.machine.observation(observation.length).set(observation);
    this.machine.call("feedback", reward, ended ? 1 : 0);
  }

  /** Of each action, in the last step. */
  probabilities() {
    return this.machine.view(this.machine.call("probabilities"));
  }

  setTemperature(temperature) {
    this.machine.call("set_temperature", temperature);
  }

  forget() {
    this.machine.call("forget");
  }

  snapshot() {
    return this.machine.bytes(this.machine.call("snapshot"));
  }

  restore(snapshot) {
    this.machine.put(snapshot);
    this.machine.call("restore");
  }

  /** What a new agent with the same model does, as `algodistill-firmware-sim run` prints it. */
  trace({ environment, task, episodes, seed }) {
    this.machine.put(new TextEncoder().encode(environment));
    this.machine.call("trace", task, episodes, seed);
    return JSON.parse(this.machine.text());
  }
}

/** A world with its task. */
export class World {
  constructor(module, name, seed) {
    this.machine = new Machine(module);
    this.machine.put(new TextEncoder().encode(name));
    this.machine.call("open_world", seed);
    const { horizon, tasks, words } = JSON.parse(this.machine.text());
    /** Most steps of an episode. */
    this.horizon = horizon;
    /** How many tasks there are; 0 where there is no end to them. */
    this.tasks = tasks;
    this.words = words;
  }

  setTask(number) {
    this.machine.call("set_task", number);
  }

  /** Takes up the task that comes nearest to a wish (docs/demo/wasm/src/wish.rs): its number, or null
   * where it has none. */
  wish(numbers) {
    this.machine.put(new Uint8Array(new Float32Array(numbers).buffer));
    const number = this.machine.call("wish");
    return number < 0 ? null : number;
  }

  /** Numbers of the tasks that were left out of a model's training, where tasks have an end. */
  heldOut({ split_seed, held_out }) {
    return this.machine.view(this.machine.call("held_out", split_seed, held_out));
  }

  begin() {
    this.machine.call("begin");
  }

  /** Reward, and whether the episode ended. */
  step(action) {
    const done = this.machine.call("step", action) === 1;
    return { reward: this.machine.exports.reward(), done };
  }

  observation() {
    return this.machine.observation(this.words).slice();
  }

  /** What a person sees (docs/demo/wasm/src/world.rs). */
  look() {
    return this.machine.view(this.machine.call("look"));
  }

  randomReturn(episodes) {
    return this.machine.exports.random_return(episodes);
  }
}
