// The pool from above, and the strip of wall that the agent sees.

import { disc, frame, line } from "./canvas.js";

const ROWS = 8;
const COLUMNS = 16;
const STEP = 0.5;

export const pool = {
  key: () =>
    "Green: the platform, which the agent does not see. Dots: where it remembers having been. Strip: what it sees now.",
  aspect: 1.28,
  locate: (session, x, y) => {
    const half = session.view[0];
    // Below the pool is the strip: no place for a platform.
    const depth = y * pool.aspect;
    return [2 * half * x - half, half - 2 * half * depth];
  },
  firstCursor: (session) => session.view.slice(2, 4).map((part) => Math.round(part / STEP) * STEP),
  moveCursor: (session, [x, y], [down, right]) => {
    const most = session.view[0] - session.view[1];
    const inside = (part) => Math.min(most, Math.max(-most, part));
    return [inside(x + right * STEP), inside(y - down * STEP)];
  },
  describeCursor: (_, [x, y]) =>
    `${Math.abs(x)} ${x < 0 ? "left" : "right"} of the middle, ${Math.abs(y)} ${y < 0 ? "below" : "above"} it: Enter sinks the platform here`,
  turns: () => ["platform"],
  choose: (session, [x, y]) => {
    const [half, radius] = session.view;
    // No platform is at the start.
    if (Math.hypot(x, y) < 1.5 * radius || Math.max(Math.abs(x), Math.abs(y)) > half) return null;
    return [x, y];
  },
  describe: (session) => {
    const [, , px, py, x, y] = session.view;
    return `The swimmer is ${Math.hypot(px - x, py - y).toFixed(1)} from the middle of the platform.`;
  },
  paint,
};

function paint({ context, width, height }, session, colours, cursor) {
  const [half, radius, px, py, x, y, heading] = session.view;
  const at = (east, north) => [((east + half) / (2 * half)) * width, ((half - north) / (2 * half)) * width];
  const unit = width / (2 * half);
  context.fillStyle = colours.memory;
  context.globalAlpha = 0.16;
  context.fillRect(0, 0, width, width);
  context.globalAlpha = 0.35;
  for (const { after } of session.memory.steps()) disc(context, ...at(after[4], after[5]), unit * 0.22, colours.memory);
  context.globalAlpha = 1;
  disc(context, ...at(px, py), radius * unit, colours.goal);
  const way = (episode) => episode.map((step) => at(step.view[4], step.view[5]));
  line(context, way(session.lastEpisode), colours.faint, 2);
  line(context, way(session.episode), colours.agent, 3);
  if (session.episode.at(-1).reward > 0) disc(context, ...at(x, y), unit * 0.55, colours.reward);
  paintSwimmer(context, at(x, y), (heading / 32) * 2 * Math.PI, unit * 0.5, colours);
  line(
    context,
    [
      [1, 1],
      [width - 1, 1],
      [width - 1, width - 1],
      [1, width - 1],
      [1, 1],
    ],
    colours.line,
    2,
  );
  if (cursor) {
    const [left, top] = at(...cursor);
    frame(context, left - radius * unit, top - radius * unit, 2 * radius * unit, 2 * radius * unit, colours.ink);
  }
  paintStrip(context, session, { left: 0, top: width + 14, width, height: height - width - 14 });
}

function paintSwimmer(context, [x, y], angle, size, colours) {
  const corner = (turn, reach) => [
    x + Math.cos(angle + turn) * size * reach,
    y - Math.sin(angle + turn) * size * reach,
  ];
  context.beginPath();
  for (const [turn, reach] of [
    [0, 1],
    [2.5, 0.8],
    [Math.PI, 0.35],
    [-2.5, 0.8],
  ])
    context.lineTo(...corner(turn, reach));
  context.closePath();
  context.fillStyle = colours.agent;
  context.fill();
}

/** What the agent sees: 8 rows of 16 pixels. */
function paintStrip(context, session, box) {
  const picture = new Uint8Array(session.world.observation().buffer);
  const [wide, high] = [box.width / COLUMNS, box.height / ROWS];
  for (let pixel = 0; pixel < ROWS * COLUMNS; pixel++) {
    const [red, green, blue] = picture.subarray(3 * pixel, 3 * pixel + 3);
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    const [row, column] = [Math.floor(pixel / COLUMNS), pixel % COLUMNS];
    context.fillRect(box.left + column * wide, box.top + row * high, wide + 0.6, high + 0.6);
  }
}
