// Draws an answer onto its picture. Places are pixels of the frame; strokes are of the screen.

const MARK = "#ff5a1f";
const SHADE = "rgba(0,0,0,.65)";

/** view: { scale, x, y } from pixels of the frame to pixels of the canvas' own layout. */
export function drawAnswer(context, view, answer) {
  const place = (x, y) => [view.x + x * view.scale, view.y + y * view.scale];
  if (answer.reading?.geometry) drawDial(context, place, view.scale, answer.reading);
  const numbered = answer.points.length > 1;
  answer.points.forEach((point, index) => {
    const [x, y] = place(point.x_px, point.y_px);
    drawPoint(context, x, y);
    drawLabel(context, x + 14, y - 12, numbered ? String(index + 1) : point.label);
  });
}

export function drawPoint(context, x, y) {
  context.lineWidth = 5;
  context.strokeStyle = SHADE;
  circle(context, x, y, 9).stroke();
  context.lineWidth = 2.5;
  context.strokeStyle = "#fff";
  circle(context, x, y, 9).stroke();
  context.fillStyle = MARK;
  circle(context, x, y, 5).fill();
}

export function drawRegion(context, view, roi, isDraft = false) {
  const [x, y] = [view.x + roi.x_px * view.scale, view.y + roi.y_px * view.scale];
  const [width, height] = [roi.width_px * view.scale, roi.height_px * view.scale];
  context.lineWidth = 4;
  context.strokeStyle = SHADE;
  context.strokeRect(x, y, width, height);
  context.setLineDash(isDraft ? [6, 4] : []);
  context.lineWidth = 2;
  context.strokeStyle = isDraft ? "#fff" : MARK;
  context.strokeRect(x, y, width, height);
  context.setLineDash([]);
}

export function drawCross(context, x, y) {
  for (const [width, colour] of [[4, SHADE], [1.5, "#fff"]]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 5, y + dy * 5);
      context.lineTo(x + dx * 15, y + dy * 15);
    }
    context.stroke();
  }
}

export function drawLabel(context, x, y, text) {
  if (!text) return;
  const shown = text.length > 40 ? `${text.slice(0, 39)}…` : text;
  context.font = "600 13px Inter, system-ui, sans-serif";
  const width = context.measureText(shown).width;
  const left = Math.max(4, Math.min(x, context.canvas.clientWidth - width - 12));
  context.fillStyle = "rgba(13,14,15,.8)";
  context.beginPath();
  context.roundRect(left - 5, y - 14, width + 10, 20, 5);
  context.fill();
  context.fillStyle = "#fff";
  context.fillText(shown, left, y);
}

function drawDial(context, place, scale, reading) {
  const { geometry } = reading;
  const isRead = reading.status !== "refused";
  const [cx, cy] = place(...geometry.center);
  context.lineCap = "round";
  if (geometry.ellipse) {
    const [x, y, long, short, tilt] = geometry.ellipse;
    context.lineWidth = 1.5;
    context.strokeStyle = "rgba(255,255,255,.8)";
    context.beginPath();
    context.ellipse(...place(x, y), long * scale, short * scale, (tilt * Math.PI) / 180, 0, 2 * Math.PI);
    context.stroke();
  }
  for (const [value, x, y] of geometry.scale_points) {
    const [px, py] = place(x, y);
    context.fillStyle = "#fff";
    circle(context, px, py, 3.5).fill();
    drawLabel(context, px + 9, py + 4, String(Number(value.toPrecision(4))));
  }
  const tips = geometry.hands_deg.length ? hands(geometry) : geometry.needle_tip ? [geometry.needle_tip] : [];
  for (const tip of tips) {
    line(context, cx, cy, ...place(...tip), 6, SHADE);
    line(context, cx, cy, ...place(...tip), 3, isRead ? MARK : "#b3261e");
  }
  context.fillStyle = "#fff";
  circle(context, cx, cy, 4).fill();
}

/** Where hands end: the angles are clockwise from up on the dial's own face. */
function hands({ center, ellipse, hands_deg: degrees }) {
  const [, , long, short, tilt] = ellipse ?? [0, 0, 60, 60, 0];
  const turn = (tilt * Math.PI) / 180;
  return degrees.map((degree, index) => {
    const length = [0.5, 0.8, 0.85][index] ?? 0.8;
    const angle = (degree * Math.PI) / 180;
    const [dx, dy] = [Math.sin(angle) * length, -Math.cos(angle) * length];
    const along = (dx * Math.cos(turn) + dy * Math.sin(turn)) * long;
    const across = (-dx * Math.sin(turn) + dy * Math.cos(turn)) * short;
    return [center[0] + along * Math.cos(turn) - across * Math.sin(turn), center[1] + along * Math.sin(turn) + across * Math.cos(turn)];
  });
}

function circle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  return context;
}

function line(context, x0, y0, x1, y1, width, colour) {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
