/**
 * `sumSquares` in plain JavaScript, in the order of summation that `kernels.ts` lays down: float32 lanes
 * while that is exact enough, float64 for the rest of a block and for blocks whose float32 squares overflow.
 */
import { type Kernels, SUM_SQUARES_BLOCK } from './kernels.js';

const { fround } = Math;
const GROUP = 512;

/** See `Kernels.sumSquares`. */
export const referenceSumSquares: Kernels['sumSquares'] = (values, initial = 0) => {
  let total = initial;
  for (let begin = 0; begin < values.length; begin += SUM_SQUARES_BLOCK) {
    total += sumOfBlock(values, begin, Math.min(values.length, begin + SUM_SQUARES_BLOCK));
  }
  return total;
};

/** D[0] to D[3]; shared, since no call leaves anything in it that the next one reads. */
const sums = new Float64Array(4);

function sumOfBlock(values: Float32Array, begin: number, end: number): number {
  sums.fill(0);
  let at = begin;
  for (; at + GROUP <= end; at += GROUP) addGroup(values, at);
  addSlowly(values, at, end);
  const sum = joined();
  if (Number.isFinite(sum)) return sum;
  sums.fill(0);
  addSlowly(values, begin, end);
  return joined();
}

function joined(): number {
  const [d0, d1, d2, d3] = sums as unknown as [number, number, number, number];
  return d0 + d1 + (d2 + d3);
}

function addSlowly(values: Float32Array, begin: number, end: number): void {
  for (let i = begin; i < end; i++) {
    const value = values[i] as number;
    sums[(i - begin) & 3] = (sums[(i - begin) & 3] as number) + value * value;
  }
}

/** Adds the squares of 512 values; a variable per lane, for V8 keeps no array in registers. */
function addGroup(x: Float32Array, begin: number): void {
  let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
  let [c0, c1, c2, c3, d0, d1, d2, d3] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = begin; i < begin + GROUP; i += 16) {
    a0 = fround(a0 + squareAt(x, i));
    a1 = fround(a1 + squareAt(x, i + 1));
    a2 = fround(a2 + squareAt(x, i + 2));
    a3 = fround(a3 + squareAt(x, i + 3));
    b0 = fround(b0 + squareAt(x, i + 4));
    b1 = fround(b1 + squareAt(x, i + 5));
    b2 = fround(b2 + squareAt(x, i + 6));
    b3 = fround(b3 + squareAt(x, i + 7));
    c0 = fround(c0 + squareAt(x, i + 8));
    c1 = fround(c1 + squareAt(x, i + 9));
    c2 = fround(c2 + squareAt(x, i + 10));
    c3 = fround(c3 + squareAt(x, i + 11));
    d0 = fround(d0 + squareAt(x, i + 12));
    d1 = fround(d1 + squareAt(x, i + 13));
    d2 = fround(d2 + squareAt(x, i + 14));
    d3 = fround(d3 + squareAt(x, i + 15));
  }
  addLane(0, a0, b0, c0, d0);
  addLane(1, a1, b1, c1, d1);
  addLane(2, a2, b2, c2, d2);
  addLane(3, a3, b3, c3, d3);
}

function squareAt(x: Float32Array, i: number): number {
  const value = x[i] as number;
  return fround(value * value);
}

function addLane(lane: number, a: number, b: number, c: number, d: number): void {
  sums[lane] = (sums[lane] as number) + fround(fround(a + b) + fround(c + d));
}
