// Rooms of cells: where the agent remembers having been, this episode's way, what is hidden.

import { disc, font, frame, line } from "./canvas.js";

const isPair = (session) => session.view.length === 8;
const place = (view) => (view.length === 8 ? [view[5], view[6]] : [view[3], view[4]]);
const names = (pair) => (pair ? ["key", "door"] : ["goal"]);

export const room = {
  key: (session) => {
    const dots = isPair(session) ? "" : " Dots: goals that were kept out of its training.";
    return `Blue cells: where it remembers having been. Blue line: this episode; grey: the one before.${dots}`;
  },
  aspect: 1,
  /** Cell of a point of the picture, both from 0 to 1. */
  locate: (session, x, y) => {
    const side = session.view[0];
    const cell = (part) => Math.min(side - 1, Math.max(0, Math.floor(part * side)));
    return [cell(y), cell(x)];
  },
  firstCursor: (session) => [session.view[1], session.view[2]],
  moveCursor: (session, [row, column], [down, right]) => {
    const inside = (cell) => Math.min(session.view[0] - 1, Math.max(0, cell));
    return [inside(row + down), inside(column + right)];
  },
  describeCursor: (session, [row, column], turn) =>
    `row ${row + 1}, column ${column + 1}: Enter puts the ${names(isPair(session))[turn]} here`,
  /** How many clicks choose a task, what each puts, and the wish after one of them; null where it
   * cannot be. */
  turns: (session) => names(isPair(session)),
  choose: (session, cell, turn) => {
    if (!isPair(session)) return cell;
    const [, keyRow, keyColumn, doorRow, doorColumn] = session.view;
    const wish = turn === 0 ? [...cell, doorRow, doorColumn] : [keyRow, keyColumn, ...cell];
    return wish[0] === wish[2] && wish[1] === wish[3] ? null : wish;
  },
  describe: (session) => {
    const [row, column] = place(session.view);
    const hidden = names(isPair(session)).map(
      (name, index) => `${name} in row ${session.view[1 + 2 * index] + 1}, column ${session.view[2 + 2 * index] + 1}`,
    );
    return `The ${hidden.join(", ")}; the agent in row ${row + 1}, column ${column + 1}.`;
  },
  paint,
};

function paint({ context, width }, session, colours, cursor) {
  const side = session.view[0];
  const unit = width / side;
  const middle = ([row, column]) => [(column + 0.5) * unit, (row + 0.5) * unit];
  paintMemory(context, session, colours, unit);
  paintGrid(context, colours, side, unit);
  if (!isPair(session)) paintHeldOut(context, session, colours, unit);
  const ways = (episode) => episode.map((step) => middle(place(step.view)));
  line(context, ways(session.lastEpisode), colours.faint, Math.max(2, unit * 0.07));
  paintHidden(context, session, colours, unit, middle);
  line(context, ways(session.episode), colours.agent, Math.max(2, unit * 0.1));
  const [x, y] = middle(place(session.view));
  const paid = session.episode.at(-1).reward > 0;
  if (paid) disc(context, x, y, unit * 0.46, colours.reward);
  disc(context, x, y, unit * 0.28, colours.agent);
  disc(context, x - unit * 0.08, y - unit * 0.08, unit * 0.07, colours.card);
  if (cursor) frame(context, cursor[1] * unit + 1, cursor[0] * unit + 1, unit - 2, unit - 2, colours.ink);
}

/** Cells that are in the agent's memory, the more often the stronger. */
function paintMemory(context, session, colours, unit) {
  const visits = new Map();
  for (const { after } of session.memory.steps()) {
    const key = place(after).join();
    visits.set(key, (visits.get(key) ?? 0) + 1);
  }
  context.fillStyle = colours.memory;
  for (const [key, count] of visits) {
    const [row, column] = key.split(",").map(Number);
    context.globalAlpha = Math.min(0.75, 0.22 + 0.07 * count);
    context.fillRect(column * unit, row * unit, unit, unit);
  }
  context.globalAlpha = 1;
}

function paintGrid(context, colours, side, unit) {
  for (let edge = 0; edge <= side; edge++) {
    const at = Math.min(side * unit - 0.5, Math.max(0.5, edge * unit));
    line(
      context,
      [
        [at, 0],
        [at, side * unit],
      ],
      colours.line,
      1,
    );
    line(
      context,
      [
        [0, at],
        [side * unit, at],
      ],
      colours.line,
      1,
    );
  }
}

/** Goals that the model was not trained on. */
function paintHeldOut(context, session, colours, unit) {
  const side = session.view[0];
  for (const goal of session.heldOut) {
    disc(context, ((goal % side) + 0.14) * unit, (Math.floor(goal / side) + 0.14) * unit, unit * 0.055, colours.quiet);
  }
}

/** The goal, or key and door. */
function paintHidden(context, session, colours, unit, middle) {
  const { view } = session;
  const marks = isPair(session)
    ? [
        ["K", view.slice(1, 3), colours.goal, view[7] > 0],
        ["D", view.slice(3, 5), colours.door, false],
      ]
    : [["G", view.slice(1, 3), colours.goal, false]];
  for (const [letter, cell, colour, taken] of marks) {
    const [x, y] = middle(cell);
    context.globalAlpha = taken ? 0.3 : 1;
    context.beginPath();
    context.roundRect(x - unit * 0.42, y - unit * 0.42, unit * 0.84, unit * 0.84, unit * 0.2);
    context.fillStyle = colour;
    context.fill();
    font(context, unit * 0.5, 700);
    context.fillStyle = colours.card;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(letter, x, y + unit * 0.03);
    context.globalAlpha = 1;
  }
}
