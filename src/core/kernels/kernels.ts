/**
 * The numerical kernels: every loop over elements that the server runs. One interface, several
 * implementations (plain JavaScript here, WASM SIMD), one conformance suite; all give the same bits.
 *
 * Each kernel is defined as a fixed sequence of IEEE 754 float32 operations (+ − × ÷ √, comparison),
 * each rounded to nearest, never fused, so results do not depend on machine, runtime or implementation.
 * In the formulas below every operation is such a float32 operation, evaluated as the brackets say.
 * Every kernel but `sumSquares` is element-wise: cutting a range into parts changes no bit.
 *
 * Arguments: `out` is `parameter` itself (in place) or an array that does not overlap any other
 * (copy on write); slots are updated in place. REQUIRED, not checked here: all arrays of one call have
 * equal lengths; slots that hold squares are ≥ 0. Scalars are rounded to float32 where the formula uses
 * them. A NaN may come out with other payload bits.
 */

/**
 * Elements per block of `sumSquares` (64 KiB). A caller that cuts a gradient at multiples of this
 * from the gradient's start, and chains the parts, gets the same bits as from one call.
 */
export const SUM_SQUARES_BLOCK = 16_384;

/**
 * Slots that decay would stay among the subnormal numbers for ever once their gradients are 0, and these
 * slow every later update. So the kernels store +0 for |x| below this, 2^-126: `flush(x)` in the formulas.
 */
export const SMALLEST_NORMAL: number = 2 ** -126;

/** The scalars of one Adam or AdamW update, the bias corrections worked in. */
export interface AdamScalars {
  readonly beta1: number;
  readonly beta2: number;
  /** learning rate / (1 − beta1^t) */
  readonly stepSize: number;
  /** 1 / √(1 − beta2^t) */
  readonly rootCorrection: number;
  readonly epsilon: number;
  /** learning rate × weight decay; 0 is Adam, and leaves the term out. */
  readonly decay: number;
}

/** The scalars of one FTRL-Proximal update. */
export interface FtrlScalars {
  /** 1 / learning rate of this update. */
  readonly inverseRate: number;
  /** `inverseRate` − the one of the update before; 0 while the learning rate stays. */
  readonly inverseRateChange: number;
  readonly beta: number;
  readonly l1: number;
  readonly l2: number;
}

/** Rows of `dim` numbers, by row number, in blocks that may stand anywhere. */
export interface RowStore {
  /** Numbers per row, from 1. */
  readonly dim: number;
  /** A block has 2^shift rows: row r is row r mod 2^shift of block r >> shift. */
  readonly shift: number;
  readonly blocks: readonly Float32Array[];
  /** The one buffer in which all blocks stand; undefined: they stand in several. */
  readonly buffer: ArrayBufferLike | undefined;
  /** Where each block begins in its buffer, in elements. */
  readonly offsets: readonly number[];
}

/** The kernels. Cost of each: O(length). */
export interface Kernels {
  /** Which implementation this is. */
  readonly name: string;

  /** out = x. */
  copy(out: Float32Array, x: Float32Array): void;
  /** accumulator = accumulator + x. */
  add(accumulator: Float32Array, x: Float32Array): void;
  /** values = values · factor. */
  scale(values: Float32Array, factor: number): void;
  /** values = values / divisor. */
  divide(values: Float32Array, divisor: number): void;
  /** Each value is brought into [−limit, limit]; NaN stays. */
  clipValue(values: Float32Array, limit: number): void;
  /** Each value that is not finite becomes +0. */
  zeroNonFinite(values: Float32Array): void;

  /**
   * out = the rows `rows[0]` to `rows[count − 1]` of `store`, one after the other. REQUIRES: each is a row of it, and `out`
   * has count · dim elements, none of them in the store.
   */
  gatherRows(out: Float32Array, store: RowStore, rows: Int32Array, count: number): void;
  /** The other way round: row `rows[i]` of `store` becomes row i of `from`, by rising i. REQUIRES: as `gatherRows`. */
  scatterRows(store: RowStore, rows: Int32Array, count: number, from: Float32Array): void;

  /**
   * out = x as bfloat16, the upper half of a float32: rounded to nearest, ties to even; what is too large
   * becomes infinity. NaN becomes the bits 0x7fc0, with its sign. `out` and `x` do not overlap.
   */
  toBfloat16(out: Uint16Array, x: Float32Array): void;
  /** out = x, exactly. `out` and `x` do not overlap. */
  fromBfloat16(out: Float32Array, x: Uint16Array): void;
  /**
   * out = x as IEEE 754 binary16, subnormal numbers included: rounded to nearest, ties to even; what is
   * too large becomes infinity. NaN becomes the bits 0x7e00, with its sign. `out` and `x` do not overlap.
   */
  toFloat16(out: Uint16Array, x: Float32Array): void;
  /** out = x, exactly. `out` and `x` do not overlap. */
  fromFloat16(out: Float32Array, x: Uint16Array): void;

  /**
   * Returns `initial` + the sum of the squares, in float64; finite exactly if `initial` and every
   * value are. Blocks of `SUM_SQUARES_BLOCK` values are added to it in order, the last one may be short.
   *
   * One block: its values are taken in groups of 512, in float32: lane k of 16 sums, in order, the
   * squares x·x of the values k, k + 16, k + 32, … of the group, from 0. Then lanes are joined,
   * L[j] = (lane[j] + lane[j+4]) + (lane[j+8] + lane[j+12]) for j < 4, still in float32, and added to
   * float64 sums D[j]. Only a whole group is summed so; the values of a short last group go one after
   * the other, squared in float64, to D[i mod 4]. The block's sum is (D[0] + D[1]) + (D[2] + D[3]).
   * If that is not finite the whole block is summed again as a short group is.
   *
   * Float32 squares under 2^-126 lose digits and under 2^-150 are lost: values smaller than about 1e-19
   * count for less than they should.
   */
  sumSquares(values: Float32Array, initial?: number): number;

  /** out = p − lr·g. */
  sgd(out: Float32Array, parameter: Float32Array, gradient: Float32Array, learningRate: number): void;

  /** v = flush(μ·v − lr·g); out = p + v. */
  momentum(
    out: Float32Array,
    parameter: Float32Array,
    gradient: Float32Array,
    velocity: Float32Array,
    learningRate: number,
    momentum: number,
  ): void;

  /** s = lr·g; v = flush(μ·v − s); out = p + (μ·v − s). */
  nesterov(
    out: Float32Array,
    parameter: Float32Array,
    gradient: Float32Array,
    velocity: Float32Array,
    learningRate: number,
    momentum: number,
  ): void;

  /** a = a + g·g; out = p − (lr·g) / (√a + ε). */
  adagrad(
    out: Float32Array,
    parameter: Float32Array,
    gradient: Float32Array,
    accumulator: Float32Array,
    learningRate: number,
    epsilon: number,
  ): void;

  /** a = flush(ρ·a + (1−ρ)·(g·g)); out = p − (lr·g) / (√a + ε). */
  rmsprop(
    out: Float32Array,
    parameter: Float32Array,
    gradient: Float32Array,
    meanSquare: Float32Array,
    learningRate: number,
    rho: number,
    epsilon: number,
  ): void;

  /**
   * m = flush(β1·m + (1−β1)·g); v = flush(β2·v + (1−β2)·(g·g));
   * d = (stepSize·m) / (√v·rootCorrection + ε); out = p − d if decay is 0, else p − (decay·p + d).
   */
  adam(
    out: Float32Array,
    parameter: Float32Array,
    gradient: Float32Array,
    firstMoment: Float32Array,
    secondMoment: Float32Array,
    scalars: AdamScalars,
  ): void;

  /**
   * With r = inverseRate, c = inverseRateChange:
   * s = √n; n = n + g·g; t = √n;
   * z₀ = 0 − (p·(β·r + l2) + sgn(p)·l1) if s is 0 (an element without a gradient so far),
   * else z − ((β + s)·c)·p;
   * z = (z₀ + g) − ((t − s)·r)·p;
   * out = p if t is 0, else +0 if |z| ≤ l1, else (sgn(z)·l1 − z) / ((β + t)·r + l2).
   * sgn(x)·l1 is +l1, −l1, or +0 for x = 0 (and anything for NaN).
   */
  ftrl(
    out: Float32Array,
    parameter: Float32Array,
    gradient: Float32Array,
    z: Float32Array,
    n: Float32Array,
    scalars: FtrlScalars,
  ): void;
}
