// The motor's position over the time of an episode, and the band that pays.

import { disc, font, line } from "./canvas.js";

/** Farthest from the middle that is drawn: starts and targets are at most 256 away, the stops are at 512. */
const FARTHEST = 340;
const BAND = 16;
const MARGIN = 26;

/** Position and target of a view. */
const position = (view) => view[4];
const target = (view) => view[3];

/** Speed at full drive and without, in counts a step, and the share of the velocity that is kept. */
export function motorOf([keep, push, load]) {
  return { speed: (2 * push) / (256 - keep), keep: keep / 256, pull: load / (256 - keep) };
}

export const motor = {
  key: () => "Blue: this episode; grey: the one before. Gold: steps in the band, which pay 1 each.",
  aspect: 0.62,
  turns: () => [],
  describe: (session) => {
    const { speed, keep, pull } = motorOf(session.view);
    const off = Math.abs(target(session.view) - position(session.view));
    return `${off} counts from the target. The motor: ${speed.toFixed(0)} counts a step at full drive, keeps ${keep.toFixed(2)} of its speed, pulled by ${pull.toFixed(0)}.`;
  },
  paint,
};

function paint({ context, width, height }, session, colours) {
  const level = (counts) =>
    height / 2 - (Math.min(FARTHEST, Math.max(-FARTHEST, counts)) / FARTHEST) * (height / 2 - 8);
  const across = (step) => MARGIN + (step / session.world.horizon) * (width - MARGIN - 10);
  const goal = target(session.view);
  context.fillStyle = colours.goal;
  context.globalAlpha = 0.3;
  context.fillRect(MARGIN, level(goal + BAND), width - MARGIN, level(goal - BAND) - level(goal + BAND));
  context.globalAlpha = 1;
  line(
    context,
    [
      [MARGIN, level(goal)],
      [width, level(goal)],
    ],
    colours.goal,
    1.5,
  );
  for (const edge of [FARTHEST, -FARTHEST])
    line(
      context,
      [
        [MARGIN, level(edge)],
        [width, level(edge)],
      ],
      colours.line,
      1,
    );
  const way = (episode) => episode.map((step, index) => [across(index), level(position(step.view))]);
  line(context, way(session.lastEpisode), colours.faint, 2);
  const now = way(session.episode);
  line(context, now, colours.agent, 3);
  session.episode.forEach((step, index) => {
    if (step.reward > 0) disc(context, ...now[index], 4.5, colours.reward);
  });
  disc(context, ...now.at(-1), 7, colours.agent);
  paintAxes(context, width, height, colours);
}

/** The names of the axes. */
function paintAxes(context, width, height, colours) {
  font(context, 12);
  context.fillStyle = colours.quiet;
  context.textAlign = "right";
  context.fillText("time →", width - 4, height - 14);
  context.save();
  context.translate(13, height / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText("position of the motor →", 0, 0);
  context.restore();
}
