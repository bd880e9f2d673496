// Arms of a bandit, be they machines or channels: what each pays (which the agent is not told), what
// the agent remembers of it.

import { disc, font, frame, line } from "./canvas.js";

/** Least and most that the picture has room for. */
function range({ environment, view }) {
  if (environment.name !== "linear-bandit") return [0, 1];
  const most = 1.3 * Math.max(1, ...view.map(Math.abs));
  return [-most, most];
}

const armAt = (session, x) => Math.min(session.view.length - 1, Math.max(0, Math.floor(x * session.view.length)));
const MARGIN = { top: 14, bottom: 44 };

export const arms = {
  key: ({ environment: { arm } }) =>
    `Line: what each ${arm} really pays, green for the best; the agent is not told. Bar: the mean of what it remembers. Below: how many tries of it are in memory.`,
  aspect: 0.72,
  locate: (session, x, y, height) => {
    const top = MARGIN.top / height;
    const share = 1 - (y - top) / (1 - top - MARGIN.bottom / height);
    return [armAt(session, x), Math.round(20 * Math.min(1, Math.max(0, share))) / 20];
  },
  firstCursor: (session) => [0, session.view[0]],
  moveCursor: (session, [arm, chance], [down, right]) => {
    const next = Math.min(session.view.length - 1, Math.max(0, arm + right));
    const from = next === arm ? chance : session.view[next];
    return [next, Math.min(1, Math.max(0, Math.round(20 * from - down) / 20))];
  },
  describeCursor: ({ environment }, [arm, chance]) => {
    const change =
      environment.name === "bandit" ? `lets it pay ${Math.round(100 * chance)} times in 100` : "makes it the best";
    return `${environment.arm} ${arm + 1}: Enter ${change}`;
  },
  turns: ({ environment }) => [environment.arm],
  choose: (session, [arm, chance]) =>
    session.environment.name === "bandit" ? session.view.map((pays, other) => (other === arm ? chance : pays)) : [arm],
  describe: (session) => {
    const { arm } = session.environment;
    const { counts } = remembered(session);
    const most = Math.max(...counts);
    const best = session.view.indexOf(Math.max(...session.view));
    const favourite = `In memory, ${arm} ${counts.indexOf(most) + 1} was tried most often, ${most} of ${session.memory.filled} times.`;
    return `The best is ${arm} ${best + 1}. ${most === 0 ? "Its memory is empty." : favourite}`;
  },
  paint,
};

/** Of each arm: how many pulls are in memory, and what they paid in the mean. */
function remembered(session) {
  const counts = session.view.map(() => 0);
  const sums = session.view.map(() => 0);
  for (const { action, reward } of session.memory.steps()) {
    counts[action] += 1;
    sums[action] += reward;
  }
  return { counts, means: sums.map((sum, arm) => (counts[arm] > 0 ? sum / counts[arm] : null)) };
}

function paint({ context, width, height }, session, colours, cursor) {
  const [least, most] = range(session);
  const floor = height - MARGIN.bottom;
  const level = (value) => {
    const share = (Math.min(most, Math.max(least, value)) - least) / (most - least);
    return floor - share * (floor - MARGIN.top);
  };
  const unit = width / session.view.length;
  const { counts, means } = remembered(session);
  const best = Math.max(...session.view);
  const last = session.episode.at(-1);
  line(
    context,
    [
      [0, level(0)],
      [width, level(0)],
    ],
    colours.line,
    1,
  );
  session.view.forEach((pays, arm) => {
    const left = arm * unit + unit * 0.18;
    const wide = unit * 0.64;
    if (means[arm] !== null) {
      context.fillStyle = last.action === arm ? colours.agent : colours.memory;
      const [top, bottom] = [level(Math.max(means[arm], 0)), level(Math.min(means[arm], 0))];
      context.fillRect(left, top, wide, Math.max(2, bottom - top));
    }
    const colour = pays === best ? colours.goal : colours.quiet;
    line(
      context,
      [
        [left - 3, level(pays)],
        [left + wide + 3, level(pays)],
      ],
      colour,
      pays === best ? 4 : 3,
    );
    paintLabels(context, colours, {
      x: (arm + 0.5) * unit,
      y: floor,
      arm,
      count: counts[arm],
      total: session.memory.filled,
      unit,
    });
    if (last.action === arm && last.reward > 0)
      disc(context, (arm + 0.5) * unit, MARGIN.top / 2 + 2, 5, colours.reward);
  });
  if (cursor) {
    frame(context, cursor[0] * unit + 2, 2, unit - 4, height - 4, colours.ink);
    if (session.environment.name === "bandit") {
      frame(context, cursor[0] * unit + 6, level(cursor[1]) - 3, unit - 12, 6, colours.ink);
    }
  }
}

/** Number of the arm, and how often it was pulled, as number and strip. */
function paintLabels(context, colours, { x, y, arm, count, total, unit }) {
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillStyle = colours.agent;
  context.fillRect(x - unit * 0.4, y + 5, unit * 0.8 * (total > 0 ? count / total : 0), 4);
  font(context, 12, 600);
  context.fillStyle = colours.ink;
  context.fillText(String(arm + 1), x, y + 24);
  font(context, 11);
  context.fillStyle = colours.quiet;
  context.fillText(`${count}×`, x, y + 39);
}
