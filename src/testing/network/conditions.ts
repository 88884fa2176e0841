/** How a simulated network behaves when nothing goes wrong: latency and bandwidth. */
import type { Random } from '../../core/base/random.js';

/** Conditions that may change while a simulation runs. */
export interface NetworkConditions {
  /** Shortest time a frame is under way, in milliseconds. */
  latencyMs: number;
  /** A frame is under way for up to so much longer, uniformly. */
  jitterMs: number;
  /** Share of the frames that are late, and by how much they are, in milliseconds. */
  lateShare: number;
  lateMs: number;
  /** Bytes per millisecond of each connection in each direction; Infinity: no limit. */
  bytesPerMs: number;
  /** The same of the server's line, which all its connections share. */
  readonly serverBytesPerMs: number;
  /** Whether frames are taken from the sender's memory only when the line takes them. */
  readonly isZeroCopy: boolean;
  /** Bytes on the line for each byte of a frame with parameters: a small model stands for a large one. */
  bytesFactor: number;
}

/** Frames up to this size carry no parameters to speak of: they are what they are. */
const SMALL_FRAME_BYTES = 256;

/** A network without latency and limits. */
export const IDEAL_NETWORK: Readonly<NetworkConditions> = {
  latencyMs: 0,
  jitterMs: 0,
  lateShare: 0,
  lateMs: 0,
  bytesPerMs: Number.POSITIVE_INFINITY,
  serverBytesPerMs: Number.POSITIVE_INFINITY,
  isZeroCopy: false,
  bytesFactor: 1,
};

/** Bytes on the line for a frame of `bytes`. */
export function lineBytes({ bytesFactor }: NetworkConditions, bytes: number): number {
  return bytes > SMALL_FRAME_BYTES ? bytes * bytesFactor : bytes;
}

/** How long the next frame is under way. */
export function drawLatencyMs(conditions: NetworkConditions, random: Random): number {
  const { latencyMs, jitterMs, lateShare, lateMs } = conditions;
  let latency = latencyMs;
  if (jitterMs > 0) latency += jitterMs * random.nextFloat();
  if (lateShare > 0 && random.nextFloat() < lateShare) latency += lateMs * random.nextFloat();
  return latency;
}

/** A line that several connections share: it carries one frame after the other. */
export class SharedLine {
  readonly #bytesPerMs: number;
  #freeAt = 0;

  /** `bytesPerMs`: Infinity for no limit. */
  constructor(bytesPerMs: number) {
    this.#bytesPerMs = bytesPerMs;
  }

  /** When `bytes` that are ready at `readyAt` have passed. */
  pass(readyAt: number, bytes: number): number {
    if (this.#bytesPerMs === Number.POSITIVE_INFINITY) return readyAt;
    this.#freeAt = Math.max(this.#freeAt, readyAt) + bytes / this.#bytesPerMs;
    return this.#freeAt;
  }
}
