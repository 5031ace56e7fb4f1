// The two charts: traffic by class of status, stacked, and the heat map of latency.
// Both show the same columns: some seconds each, so that a column is a few pixels wide.

export const CLASSES = ["2xx", "3xx", "1xx", "4xx", "5xx", "none"];
export const CLASS_NAMES = {
  "1xx": "1xx informational", "2xx": "2xx success", "3xx": "3xx redirection",
  "4xx": "4xx client errors", "5xx": "5xx server errors", none: "no response",
};

const MARGIN = { left: 52, right: 8, top: 10, bottom: 22 };
const COLUMN_PIXELS = 3;
const LEAST_OCTAVES = 8;

/** Put samples into columns of equal duration that end now. */
export function columnsOf(samples, seconds, width) {
  const plot = Math.max(50, width - MARGIN.left - MARGIN.right);
  const step = Math.max(1, Math.ceil((seconds * COLUMN_PIXELS) / plot));
  const last = samples.length ? samples[samples.length - 1].t : 0;
  const end = Math.ceil(last / step) * step;
  const count = Math.ceil(seconds / step);
  const columns = Array.from({ length: count }, (_, at) => ({
    from: end - (count - at) * step, seconds: 0, classes: {}, rows: new Map(), total: 0,
  }));
  const columnOf = (time) => Math.floor((time - 0.001 - (end - count * step)) / step);
  for (const sample of samples) {
    // One that came late is about several columns.
    const last = columnOf(sample.t);
    const first = Math.min(last, columnOf(sample.t - sample.s + step));
    for (let at = Math.max(0, first); at <= last && at < count; at += 1) add(columns[at], sample, 1 / (last - first + 1));
  }
  return { columns, step, seconds: count * step };
}

function add(column, sample, part) {
  column.seconds += sample.s * part;
  for (const [name, n] of Object.entries(sample.n)) column.classes[name] = (column.classes[name] || 0) + n * part;
  for (const [row, n] of sample.d) {
    column.rows.set(row, (column.rows.get(row) || 0) + n * part);
    column.total += n * part;
  }
}

/** The duration in seconds that a share of a column's responses do not exceed; within a row of the map. */
export function quantileOf(column, share, shape) {
  let left = column.total * share;
  for (const row of [...column.rows.keys()].sort((a, b) => a - b)) {
    const n = column.rows.get(row);
    if (left <= n) return durationOf(row + left / n, shape);
    left -= n;
  }
  return NaN;
}

function durationOf(row, shape) {
  return 2 ** (row / shape.rows + shape.least_power);
}

function rowOf(seconds, shape) {
  return (Math.log2(seconds) - shape.least_power) * shape.rows;
}

/** A canvas as sharp as the screen, and how to get at its colours. */
class Surface {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  begin() {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = this.canvas.getBoundingClientRect();
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    this.width = width;
    this.height = height;
    this.plot = {
      left: MARGIN.left, top: MARGIN.top,
      width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom,
    };
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
    this.context.font = "11px system-ui, sans-serif";
    this.style = getComputedStyle(document.documentElement);
  }

  colour(name) {
    return this.style.getPropertyValue(`--${name}`).trim();
  }

  /** Lines across with their texts: pairs of a height and a text. */
  grid(lines) {
    const { context, plot } = this;
    context.strokeStyle = this.colour("grid");
    context.fillStyle = this.colour("muted");
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [y, text] of lines) {
      context.beginPath();
      context.moveTo(plot.left, Math.round(y) + 0.5);
      context.lineTo(plot.left + plot.width, Math.round(y) + 0.5);
      context.stroke();
      context.fillText(text, plot.left - 6, y);
    }
  }

  times(seconds) {
    const { context, plot } = this;
    const steps = plot.width < 400 ? 2 : 5;
    context.fillStyle = this.colour("muted");
    context.textBaseline = "alphabetic";
    for (let at = 0; at <= steps; at += 1) {
      const ago = seconds * (1 - at / steps);
      const text = ago < 1 ? "now" : ago % 60 < 1 ? `−${Math.round(ago / 60)} min` : `−${Math.round(ago)} s`;
      context.textAlign = at === 0 ? "left" : at === steps ? "right" : "center";
      context.fillText(text, plot.left + (plot.width * at) / steps, this.height - 6);
    }
  }

  cross(at, count) {
    if (at === null || at < 0 || at >= count) return;
    const { context, plot } = this;
    const x = plot.left + ((at + 0.5) * plot.width) / count;
    context.strokeStyle = this.colour("text");
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x, plot.top);
    context.lineTo(x, plot.top + plot.height);
    context.stroke();
    context.setLineDash([]);
  }

  nothing(text) {
    this.context.fillStyle = this.colour("muted");
    this.context.textAlign = "center";
    this.context.textBaseline = "middle";
    this.context.fillText(text, this.plot.left + this.plot.width / 2, this.plot.top + this.plot.height / 2);
  }
}

/** The next of 1, 2, 5, 10, 20 ... from a number on. */
function round125(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].find((each) => each * power >= value - 1e-12) * power;
}

export class Traffic {
  constructor(canvas) {
    this.surface = new Surface(canvas);
  }

  draw(view, cross, format) {
    const surface = this.surface;
    surface.begin();
    const { context, plot } = surface;
    const rates = view.columns.map((each) =>
      CLASSES.map((name) => (each.seconds ? (each.classes[name] || 0) / each.seconds : 0)));
    const most = Math.max(...rates.map((each) => each.reduce((sum, rate) => sum + rate, 0)), 0.8);
    const step = round125(most / 4);
    const top = Math.ceil((most * 1.05) / step) * step;
    const y = (rate) => plot.top + plot.height * (1 - rate / top);
    const lines = [];
    for (let at = 0; at * step <= top + 1e-9; at += 1) lines.push([y(at * step), format(at * step)]);
    surface.grid(lines);
    const width = plot.width / rates.length;
    const below = rates.map(() => 0);
    CLASSES.forEach((name, which) => {
      if (!rates.some((each) => each[which])) return;
      const upper = rates.map((each, at) => below[at] + each[which]);
      context.fillStyle = surface.colour(`class-${name}`);
      for (let at = 0; at < rates.length; at += 1) {
        if (upper[at] > below[at]) {
          const left = plot.left + at * width;
          const high = Math.max(1, y(below[at]) - y(upper[at]));
          context.fillRect(left, y(below[at]) - high, width > 4 ? width - 1 : width + 0.3, high);
        }
        below[at] = upper[at];
      }
    });
    if (!below.some(Boolean)) surface.nothing("no requests yet");
    surface.times(view.seconds);
    surface.cross(cross, view.columns.length);
  }
}

export class Latency {
  constructor(canvas) {
    this.surface = new Surface(canvas);
  }

  draw(view, cross, format, shape) {
    const surface = this.surface;
    surface.begin();
    const { context, plot } = surface;
    const [low, high] = this.range(view, shape);
    const y = (row) => plot.top + plot.height * (1 - (row - low) / (high - low));
    const lines = [];
    for (let power = -6; power <= 3; power += 1) {
      const row = rowOf(10 ** power, shape);
      if (row >= low && row <= high) lines.push([y(row), format(10 ** power)]);
    }
    surface.grid(lines);
    const most = Math.max(1, ...view.columns.flatMap((each) => [...each.rows.values()]));
    const ramp = Array.from({ length: 6 }, (_, at) => surface.colour(`heat-${at}`));
    const width = plot.width / view.columns.length;
    const height = plot.height / (high - low);
    view.columns.forEach((column, at) => {
      for (const [row, n] of column.rows) {
        context.fillStyle = ramp[Math.min(5, Math.floor((Math.log1p(n) / Math.log1p(most)) * 5.999))];
        context.fillRect(plot.left + at * width, y(row + 1), width + 0.3, height + 0.3);
      }
    });
    this.line(view, 0.99, shape, y, "p99");
    this.line(view, 0.5, shape, y, "p50");
    if (!view.columns.some((each) => each.total)) surface.nothing("no responses yet");
    surface.times(view.seconds);
    surface.cross(cross, view.columns.length);
  }

  range(view, shape) {
    const rows = view.columns.flatMap((each) => [...each.rows.keys()]);
    const least = LEAST_OCTAVES * shape.rows;
    if (!rows.length) return [rowOf(0.0005, shape), rowOf(0.0005, shape) + least];
    const low = Math.min(...rows) - shape.rows;
    const high = Math.max(...rows) + 1 + shape.rows;
    const missing = Math.max(0, least - (high - low));
    return [low - missing / 2, high + missing / 2];
  }

  line(view, share, shape, y, name) {
    const { context, plot } = this.surface;
    const width = plot.width / view.columns.length;
    const points = (pen) => {
      let drawing = false;
      context.beginPath();
      view.columns.forEach((column, at) => {
        if (!column.total) { drawing = false; return; }
        const height = y(rowOf(quantileOf(column, share, shape), shape));
        const x = plot.left + (at + 0.5) * width;
        if (drawing) context.lineTo(x, height); else { context.moveTo(x, height); context.lineTo(x + 0.5, height); }
        drawing = true;
      });
      [context.strokeStyle, context.lineWidth] = pen;
      context.stroke();
    };
    context.lineJoin = "round";
    points([this.surface.colour("card"), 4]);
    points([this.surface.colour(name), 1.75]);
  }
}

/** Which column is at this place of a chart. */
export function columnAt(canvas, x, count) {
  const width = canvas.getBoundingClientRect().width - MARGIN.left - MARGIN.right;
  const at = Math.floor(((x - MARGIN.left) / width) * count);
  return Math.min(count - 1, Math.max(0, at));
}
