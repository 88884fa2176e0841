/** What is drawn in the page: the visitor's digit, digits of 8 × 8 pixels, and the curve. */

/** One measurement. */
export interface Point {
  /** Milliseconds. */
  readonly time: number;
  /** From 0 to 1. */
  readonly value: number;
}

const PEN_WIDTH = 22;
/** The curve shows so much of the past. */
const WINDOW_MS = 90_000;

/** Lets the visitor draw on `canvas`; `onChange` is called with every stroke. */
export function setUpDrawing(canvas: HTMLCanvasElement, onChange: () => void): void {
  const context = contextOf(canvas);
  let last: [x: number, y: number] | undefined;
  let isNew = true;
  const placeOf = (event: PointerEvent): [x: number, y: number] => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [
      ((event.clientX - left) * canvas.width) / width,
      ((event.clientY - top) * canvas.height) / height,
    ];
  };
  const draw = (event: PointerEvent) => {
    if (last === undefined) return;
    const place = placeOf(event);
    context.strokeStyle = colourOf(canvas, '--ink');
    context.lineWidth = PEN_WIDTH;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...place);
    context.stroke();
    last = place;
    onChange();
  };
  canvas.addEventListener('pointerdown', (event) => {
    // What an example has left is no part of a drawing.
    if (canvas.dataset.pixels !== undefined) isNew = true;
    if (isNew) context.clearRect(0, 0, canvas.width, canvas.height);
    delete canvas.dataset.pixels;
    isNew = false;
    canvas.setPointerCapture(event.pointerId);
    last = placeOf(event);
    draw(event);
  });
  canvas.addEventListener('pointermove', draw);
  for (const name of ['pointerup', 'pointercancel'] as const) {
    canvas.addEventListener(name, () => {
      last = undefined;
    });
  }
}

/** Draws 64 pixels over all of `canvas`; undefined: clears it. */
export function drawPixels(canvas: HTMLCanvasElement, pixels: Float32Array | undefined): void {
  const context = contextOf(canvas);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (pixels === undefined) return;
  canvas.dataset.pixels = 'yes';
  const size = canvas.width / 8;
  context.fillStyle = colourOf(canvas, '--ink');
  pixels.forEach((darkness, i) => {
    context.globalAlpha = darkness;
    context.fillRect((i % 8) * size, Math.floor(i / 8) * size, size, size);
  });
  context.globalAlpha = 1;
}

/** Draws the last of `points` as a curve, newest at the right; forgets what is too old. */
export function drawCurve(canvas: HTMLCanvasElement, points: Point[]): void {
  const now = points.at(-1)?.time ?? 0;
  while ((points[0]?.time ?? now) < now - WINDOW_MS) points.shift();
  const ratio = devicePixelRatio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = contextOf(canvas);
  context.scale(ratio, ratio);
  context.font = '12px system-ui, sans-serif';
  const [left, bottom] = [40, 6];
  const y = (value: number) => height - bottom - value * (height - 2 * bottom);
  const span = Math.max(20_000, now - (points[0]?.time ?? now));
  const x = (time: number) => width - ((now - time) / span) * (width - left);
  for (const value of [0, 0.5, 1]) {
    context.strokeStyle = colourOf(canvas, '--line');
    context.fillStyle = colourOf(canvas, '--faint');
    context.fillText(`${100 * value} %`, 0, y(value) + 4);
    context.beginPath();
    context.moveTo(left, y(value));
    context.lineTo(width, y(value));
    context.stroke();
  }
  context.strokeStyle = colourOf(canvas, '--accent');
  context.lineWidth = 2.5;
  context.lineJoin = 'round';
  context.beginPath();
  for (const { time, value } of points) context.lineTo(x(time), y(value));
  context.stroke();
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return canvas.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D;
}

function colourOf(element: HTMLElement, name: string): string {
  return getComputedStyle(element).getPropertyValue(name);
}
