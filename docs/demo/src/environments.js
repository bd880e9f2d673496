// The worlds of the page: what a visitor is told, how a choice becomes a task, what can be earned.

import { arms } from "./pictures/arms.js";
import { motor } from "./pictures/motor.js";
import { pool } from "./pictures/pool.js";
import { room } from "./pictures/room.js";

const MOVES = ["stay", "up", "right", "down", "left"];
/** What a world's arms are called, and the actions: to try one of them. */
const armsCalled = (arm, count) => ({
  arm,
  actions: Array.from({ length: count }, (_, index) => `${arm} ${index + 1}`),
});
const largest = (numbers) => Math.max(...numbers);

/** Steps of the shortest way between two cells, at least one. */
const way = (view) => Math.max(1, Math.abs(view[1] - view[3]) + Math.abs(view[2] - view[4]));

const KEY_AND_DOOR = {
  hint: "Click or tap to put the key, then the door.",
  actions: MOVES,
  picture: room,
  best: () => 2,
  bestLabel: "best possible",
  randomEpisodes: 2000,
  endsEarly: true,
  first: [2, 2, 7, 8],
};

/**
 * Each has
 *
 * - `name`, `title`, `story` (what is hidden), `hint` (what a click does), `actions`
 * - `picture`: how it is drawn and clicked
 * - `best(view, horizon)`: what an episode can pay that begins like this, and `bestLabel`, what that is
 * - `arm`: in bandits, what an arm is called
 * - `block`: where one episode is long enough to learn in, the steps of a point of the curve
 * - `stream`: the agent is never told that an episode ended
 * - `randomEpisodes`: how many are played for the random line
 * - `endsEarly`: what is looked for ends the episode, so the fewer steps the better
 * - `first`: the wish that the page begins with; where tasks have an end, one that the model was not
 *   trained on
 */
export const ENVIRONMENTS = [
  {
    name: "dark-room",
    title: "Dark Room",
    story:
      "Somewhere in this room is a goal that pays 1 for every step spent on it. The agent cannot see it: it knows only its own row and column. Every episode starts in the middle and lasts 20 steps.",
    hint: "Click or tap a cell to hide the goal there.",
    actions: MOVES,
    picture: room,
    best: (view, horizon) => horizon + 1 - way(view),
    bestLabel: "best possible",
    randomEpisodes: 2000,
    first: [2, 6],
  },
  {
    name: "dark-room-hard",
    title: "Large room",
    story:
      "The same in the dark, but 17 by 17 cells, and the goal pays once an episode only. 20 steps an episode are few: it may need dozens of episodes to find the goal, and then walks straight there. Turn up the speed.",
    hint: "Click or tap a cell to hide the goal there. The nearer to the middle, the sooner it is found.",
    actions: MOVES,
    picture: room,
    best: () => 1,
    bestLabel: "best possible",
    randomEpisodes: 2000,
    first: [6, 9],
  },
  {
    ...KEY_AND_DOOR,
    name: "key-to-door",
    title: "Key and door",
    story:
      "First find the key (pays 1), then the door, which pays 1 with the key only and ends the episode. The agent sees neither of them, only where it stands, and starts somewhere else every time.",
  },
  {
    ...KEY_AND_DOOR,
    name: "light-key-to-door",
    title: "Lit key and door",
    story:
      "The same with the light on: the agent is told where key and door are. There is nothing left to find out, and it does well from the first episode on.",
  },
  {
    name: "bandit",
    title: "Slot machines",
    story:
      "Ten slot machines. Each pays 1 or nothing, with a chance of its own that the agent is not told. It has to try them, remember what they paid, and settle for the best.",
    hint: "Click or tap in a column to set that machine's chance.",
    ...armsCalled("machine", 10),
    picture: arms,
    best: (view, horizon) => horizon * largest(view),
    bestLabel: "always the best machine",
    block: 20,
    stream: true,
    randomEpisodes: 200,
    first: [0.35, 0.1, 0.55, 0.2, 0.9, 0.3, 0.6, 0.05, 0.7, 0.25],
  },
  {
    name: "linear-bandit",
    title: "Linked arms",
    story:
      "Ten arms whose pay hangs together: a try of one says something of the others. The model learned in training how they are linked, but not what they pay today. Pay is noisy, and may be negative.",
    hint: "Click or tap a column to make that arm the best.",
    ...armsCalled("arm", 10),
    picture: arms,
    best: (view, horizon) => horizon * largest(view),
    bestLabel: "always the best arm",
    block: 5,
    stream: true,
    randomEpisodes: 200,
    first: [5],
  },
  {
    name: "restless-bandit",
    title: "Channels",
    story:
      "Eight radio channels. Each is good (pays 9 times in 10) for a while, then bad (1 in 10), whether used or not. What the agent has learned goes out of date, and it has to notice.",
    hint: "Click or tap a column: only that channel is good at the start.",
    ...armsCalled("channel", 8),
    picture: arms,
    best: (_, horizon) => horizon * (0.9 - 0.8 * 0.75 ** 8),
    bestLabel: "who knows the good ones",
    block: 50,
    stream: true,
    randomEpisodes: 200,
    first: [2],
  },
  {
    name: "watermaze",
    title: "Water maze",
    story:
      "A swimmer in a square pool. Under the water is a platform, which pays 1 and ends the episode. The agent sees only the coloured walls, as the strip below shows, and starts in the middle, turned any way.",
    hint: "Click or tap in the pool to sink the platform there.",
    actions: ["forward", "turn left", "turn right"],
    picture: pool,
    best: () => 1,
    bestLabel: "best possible",
    randomEpisodes: 500,
    endsEarly: true,
    first: [3.6, 2.8],
  },
  {
    name: "servo",
    title: "Motor",
    story:
      "Bring a motor into the green band and hold it there. How strong it is, which way is forward, how long it coasts and what pulls at it is hidden. The target is new in every episode, the motor stays.",
    hint: "Build the motor with its three sliders, among the controls.",
    actions: ["full back", "half back", "off", "half ahead", "full ahead"],
    picture: motor,
    best: () => 35.6,
    bestLabel: "who knows the motor (mean of all motors)",
    randomEpisodes: 500,
    first: [-48, 0.5, 6],
  },
];
