/** A Web Worker: trains in `url` as it is told by message, and says what came of it. */
import { train } from './lines.js';

globalThis.onmessage = async ({ data }: MessageEvent<{ url: string; steps: number }>) => {
  globalThis.postMessage(await train(data.url, data.steps));
};
