/**
 * A drawing as the network knows digits: 8 × 8 pixels, each the share of ink in 4 × 4 dots of a picture of 32 × 32
 * that the digit fills. That is how the data set was made (Alpaydin and Kaynak 1998).
 */

const DOTS = 32;
const PIXELS = 8;
/** Above this a dot has ink. */
const INK = 96;

/** The 64 pixels of what is drawn on `canvas`, from 0 to 1; undefined while it is empty. */
export function pixelsOf(canvas: HTMLCanvasElement): Float32Array | undefined {
  const box = boxOf(canvas);
  if (box === undefined) return undefined;
  const [left, top, width, height] = box;
  const scale = DOTS / Math.max(width, height);
  const small = document.createElement('canvas');
  small.width = DOTS;
  small.height = DOTS;
  const context = small.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D;
  context.imageSmoothingQuality = 'high';
  const [w, h] = [width * scale, height * scale];
  context.drawImage(canvas, left, top, width, height, (DOTS - w) / 2, (DOTS - h) / 2, w, h);
  const { data } = context.getImageData(0, 0, DOTS, DOTS);
  const pixels = new Float32Array(PIXELS * PIXELS);
  const size = DOTS / PIXELS;
  for (let y = 0; y < DOTS; y++) {
    for (let x = 0; x < DOTS; x++) {
      if ((data[4 * (y * DOTS + x) + 3] as number) < INK) continue;
      const at = Math.floor(y / size) * PIXELS + Math.floor(x / size);
      pixels[at] = (pixels[at] as number) + 1 / size ** 2;
    }
  }
  return pixels;
}

/** The smallest box around all ink. */
function boxOf(
  canvas: HTMLCanvasElement,
): [left: number, top: number, width: number, height: number] | undefined {
  const { width, height } = canvas;
  const context = canvas.getContext('2d', { willReadFrequently: true }) as CanvasRenderingContext2D;
  const { data } = context.getImageData(0, 0, width, height);
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((data[4 * (y * width + x) + 3] as number) < INK) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  return right < 0 ? undefined : [left, top, right - left + 1, bottom - top + 1];
}
