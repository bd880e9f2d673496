// The context: a ring of slots, one for each remembered step.

import { font, prepare } from "./canvas.js";

const GAP = 0.12;

export function paintRing(canvas, session, colours) {
  const { context, width, height } = prepare(canvas);
  const { memory } = session;
  // The page may not have its layout yet.
  const radius = Math.max(1, Math.min(width, height) / 2 - 12);
  const slice = (2 * Math.PI) / memory.slots.length;
  context.translate(width / 2, height / 2);
  memory.slots.forEach((step, slot) => {
    const from = slot * slice - Math.PI / 2;
    const angles = [from + slice * GAP, from + slice * (1 - GAP)];
    wedge(
      context,
      angles,
      radius * 0.66,
      radius,
      step ? colours.memory : colours.line,
      step ? shade(session, step) : 0.55,
    );
    if (!step) return;
    const share = payShare(session, step.reward);
    if (share > 0) wedge(context, angles, radius * 0.66, radius * (0.66 + 0.34 * share), colours.reward, 1);
    if (step.done) wedge(context, angles, radius * 1.02, radius * 1.07, colours.quiet, 1);
  });
  paintHead(context, memory.next * slice - Math.PI / 2, radius, colours);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colours.ink;
  font(context, radius * 0.34, 600);
  context.fillText(String(memory.filled), 0, -radius * 0.08);
  context.fillStyle = colours.quiet;
  font(context, 12);
  context.fillText(`of ${memory.slots.length} steps`, 0, radius * 0.18);
}

/** Actions are told apart by their shade. */
function shade(session, step) {
  return 0.25 + (0.6 * step.action) / (session.environment.actions.length - 1);
}

/** Of a slot, how much of it shows that the step paid. */
function payShare(session, reward) {
  return Math.min(1, Math.max(0, session.environment.name === "linear-bandit" ? reward / 3 : reward));
}

function wedge(context, [from, to], inner, outer, colour, alpha) {
  context.beginPath();
  context.arc(0, 0, outer, from, to);
  context.arc(0, 0, inner, to, from, true);
  context.closePath();
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

/** Where the next step goes. */
function paintHead(context, angle, radius, colours) {
  context.save();
  context.rotate(angle);
  context.beginPath();
  context.moveTo(radius * 0.63, 0);
  context.lineTo(radius * 0.54, -6);
  context.lineTo(radius * 0.54, 6);
  context.closePath();
  context.fillStyle = colours.agent;
  context.fill();
  context.restore();
}
