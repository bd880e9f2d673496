// What each episode paid, beside the best and random play; and how many steps it took.

import { disc, font, line, prepare } from "./canvas.js";

const MARGIN = { left: 34, right: 12, top: 12, bottom: 26 };
const LEAST_POINTS = 12;
/** Pixels that a number below the chart takes. */
const LABEL = 34;

/** What was paid, episode by episode or block by block. */
export function paintCurve(canvas, session, colours) {
  const { best, random } = session.references();
  const values = session.curve.map((point) => point.value);
  const chart = new Chart(canvas, colours, values, {
    top: Math.max(best, ...values),
    bottom: Math.min(0, random, ...values),
  });
  chart.axes(session.points - values.length, session.environment.block ?? 1);
  chart.level(best, colours.best, [7, 5]);
  chart.level(random, colours.quiet, [2, 5]);
  chart.curve(values);
}

/** How many steps each episode took. */
export function paintSteps(canvas, session, colours) {
  const values = session.curve.map((point) => point.steps);
  const chart = new Chart(canvas, colours, values, { top: session.world.horizon, bottom: 0 });
  chart.axes(session.points - values.length);
  chart.curve(values);
}

/** A round number of at least about this. */
function round(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least * 0.99);
}

class Chart {
  constructor(canvas, colours, values, { top, bottom }) {
    const points = Math.max(LEAST_POINTS, values.length);
    const room = top + 0.06 * (top - bottom);
    Object.assign(this, prepare(canvas), { colours, points, top: room, bottom });
  }

  x(index) {
    return MARGIN.left + ((index + 0.5) / this.points) * (this.width - MARGIN.left - MARGIN.right);
  }

  y(value) {
    const share = (value - this.bottom) / (this.top - this.bottom);
    return this.height - MARGIN.bottom - share * (this.height - MARGIN.top - MARGIN.bottom);
  }

  /** Numbers and lines; `before` points are no longer shown, and each is `unit` long. */
  axes(before, unit = 1) {
    const { context, colours } = this;
    font(context, 12);
    context.fillStyle = colours.quiet;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const step = round((this.top - this.bottom) / 4);
    for (let value = Math.ceil(this.bottom / step) * step; value <= this.top; value += step) {
      this.level(value, colours.line, [], 1);
      context.fillText(String(Math.round(value * 100) / 100), MARGIN.left - 6, this.y(value));
    }
    context.textAlign = "center";
    const every = round(this.points / Math.min(12, this.width / LABEL));
    for (let index = every - 1 - (before % every); index < this.points; index += every) {
      context.fillText(String((before + index + 1) * unit), this.x(index), this.height - MARGIN.bottom / 2 + 2);
    }
  }

  /** A level line from side to side. */
  level(value, colour, dashes, thickness = 2) {
    const ends = [MARGIN.left, this.width - MARGIN.right].map((x) => [x, this.y(value)]);
    this.context.setLineDash(dashes);
    line(this.context, ends, colour, thickness);
    this.context.setLineDash([]);
  }

  curve(values) {
    const dots = values.map((value, index) => [this.x(index), this.y(value)]);
    line(this.context, dots, this.colours.agent, 2.5);
    const radius = this.points > 60 ? 2 : 4;
    for (const [x, y] of dots) disc(this.context, x, y, radius, this.colours.agent);
  }
}
