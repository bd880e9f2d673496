// What all pictures need: sharp canvases, and the page's colours.

/** The page's colours, light or dark. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "quiet", "faint", "line", "card", "agent", "reward", "goal", "door", "best", "memory"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** A context whose unit is a CSS pixel, cleared, and the size. */
export function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = globalThis.devicePixelRatio || 1;
  const wanted = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wanted[0] || canvas.height !== wanted[1]) [canvas.width, canvas.height] = wanted;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineJoin = "round";
  context.lineCap = "round";
  return { context, width, height };
}

export function font(context, size, weight = 400) {
  context.font = `${weight} ${size}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
}

/** A line through points `[x, y]`. */
export function line(context, points, colour, width) {
  if (points.length < 2) return;
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

export function disc(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

/** A frame around what the keyboard is about to choose. */
export function frame(context, x, y, width, height, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.setLineDash([4, 3]);
  context.strokeRect(x, y, width, height);
  context.setLineDash([]);
}
