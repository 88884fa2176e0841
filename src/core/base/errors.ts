/**
 * The one error class of pslib and the one table that maps a code to its number on the wire,
 * to whether a later try can succeed, and to the WebSocket close code it ends a connection with.
 * Users match on `code`. Ordinary outcomes (a push dropped as too stale) are values, not errors.
 */

interface ErrorKind {
  /** Number of this fault on the wire; never reused. 0: never crosses the wire. */
  readonly wire: number;
  /** Whether the same call can succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** Close code when this fault ends a connection; 44xx tells the worker not to come back. */
  readonly close?: number;
}

/** Every code of pslib. Each has a heading in `docs/errors.md`. */
export const ERROR_KINDS = {
  // Found before anything is sent, or in what a Control asks for.
  PS_INVALID_ARGUMENT: { wire: 72, retryable: false },
  PS_ABORTED: { wire: 0, retryable: false },
  PS_CLOSED: { wire: 0, retryable: false },
  PS_GRADIENT_INVALID: { wire: 0, retryable: false },
  PS_CONNECT_FAILED: { wire: 0, retryable: true },
  PS_CONNECT_TIMEOUT: { wire: 0, retryable: true },
  PS_CONNECTION_LOST: { wire: 0, retryable: true },
  PS_OUTCOME_UNKNOWN: { wire: 0, retryable: false },
  PS_STATE_LOST: { wire: 0, retryable: false },
  // Refusals of one request.
  PS_UNKNOWN_TENSOR: { wire: 1, retryable: false },
  PS_WRONG_LENGTH: { wire: 2, retryable: false },
  PS_NOT_FINITE: { wire: 3, retryable: false },
  PS_NORM_EXCEEDED: { wire: 4, retryable: false },
  PS_NOT_TRAINABLE: { wire: 5, retryable: false },
  PS_SEQUENCE: { wire: 6, retryable: false },
  PS_CLOCK: { wire: 7, retryable: false },
  PS_PULL_TIMEOUT: { wire: 8, retryable: true },
  PS_LIMIT: { wire: 9, retryable: false },
  PS_STORAGE: { wire: 10, retryable: true },
  PS_DRAINING: { wire: 11, retryable: true, close: 4310 },
  // Tasks.
  PS_TASK_FAILED: { wire: 40, retryable: false },
  PS_TASK_TIMEOUT: { wire: 41, retryable: true },
  PS_VALUE_INVALID: { wire: 42, retryable: false },
  // Sparse tables.
  PS_TABLE_FULL: { wire: 50, retryable: false },
  PS_ROW_IDS: { wire: 51, retryable: false },
  // Refusals of a connection.
  PS_PROTOCOL: { wire: 20, retryable: false, close: 1008 },
  PS_VERSION: { wire: 21, retryable: false, close: 4406 },
  PS_UNAUTHORIZED: { wire: 22, retryable: false, close: 4401 },
  PS_FORBIDDEN: { wire: 23, retryable: false, close: 4403 },
  PS_ID_IN_USE: { wire: 24, retryable: true, close: 4309 },
  PS_FENCED: { wire: 25, retryable: false, close: 4409 },
  PS_SESSION_EXPIRED: { wire: 26, retryable: false, close: 4410 },
  PS_MODEL_MISMATCH: { wire: 27, retryable: false, close: 4412 },
  PS_LEASE_EXPIRED: { wire: 28, retryable: true, close: 4308 },
  PS_INTERNAL: { wire: 29, retryable: true, close: 1011 },
  // Rights and administration.
  PS_REAUTHENTICATE: { wire: 70, retryable: true, close: 4301 },
  PS_EVICTED: { wire: 71, retryable: false, close: 4411 },
  // Durable state.
  PS_DATA_DIR_IN_USE: { wire: 12, retryable: true },
  PS_CORRUPT: { wire: 0, retryable: false },
  PS_CLOCK_TIMEOUT: { wire: 60, retryable: true },
  // Launching.
  PS_ENVIRONMENT: { wire: 0, retryable: false },
  // Optional packages.
  PS_NOT_INSTALLED: { wire: 0, retryable: false },
} as const;

/** A stable error code, `PS_…`. */
export type PsErrorCode = keyof typeof ERROR_KINDS;

/** One worker that a waiting pull waits for. */
export interface Laggard {
  /** The worker's id. */
  readonly id: string;
  /** Iterations it has completed. */
  readonly clock: number;
  /** Milliseconds since anything arrived from it. */
  readonly lastSeenMs: number;
}

/** What an error may say beyond its message; plain data, present where the code's docs say so. */
export interface PsErrorDetails {
  /** `PS_INVALID_ARGUMENT`: the option or argument. `PS_ENVIRONMENT`: the variable. */
  readonly option?: string;
  /** The tensor concerned. */
  readonly tensor?: string;
  /** `PS_PULL_TIMEOUT`: who is awaited, slowest first. */
  readonly laggards?: readonly Laggard[];
  /** `PS_SEQUENCE`: the sequence number the server expects. */
  readonly expectedSeq?: number;
  /** `PS_ID_IN_USE`, `PS_DRAINING`: when to come back. */
  readonly retryAfterMs?: number;
}

/**
 * Every error that pslib throws or rejects with. Match on `code`, never on the message.
 */
export class PsError extends Error {
  override readonly name: string = 'PsError';
  /** What went wrong; stable across releases. */
  readonly code: PsErrorCode;
  /** Whether the same call can succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** More facts, by code. */
  readonly details: PsErrorDetails;

  constructor(
    code: PsErrorCode,
    message: string,
    options: { cause?: unknown; details?: PsErrorDetails } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = ERROR_KINDS[code].retryable;
    this.details = options.details ?? {};
  }
}

/** `error` itself if it is one of ours; else a `PS_INTERNAL` with it as the cause. */
export function asPsError(error: unknown): PsError {
  if (error instanceof PsError) return error;
  return new PsError('PS_INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
}

const kinds: Readonly<Record<PsErrorCode, ErrorKind>> = ERROR_KINDS;
const codeByWire = new Map<number, PsErrorCode>();
const codeByClose = new Map<number, PsErrorCode>();
for (const code of Object.keys(ERROR_KINDS) as PsErrorCode[]) {
  const kind = kinds[code];
  if (kind.wire !== 0) codeByWire.set(kind.wire, code);
  if (kind.close !== undefined) codeByClose.set(kind.close, code);
}

/** The fault number of `code` on the wire; 0 if it never crosses it. */
export function wireCodeOf(code: PsErrorCode): number {
  return kinds[code].wire;
}

/** The code of a fault number; an unknown number (a newer server's) is `PS_INTERNAL`. */
export function codeOfWire(wire: number): PsErrorCode {
  return codeByWire.get(wire) ?? 'PS_INTERNAL';
}

/** The close code that ends a connection for `code`. */
export function closeCodeOf(code: PsErrorCode): number {
  return kinds[code].close ?? 1011;
}

/** The code behind a close code, or undefined for an ordinary close. */
export function codeOfClose(close: number): PsErrorCode | undefined {
  return codeByClose.get(close);
}

/** Close codes 4400–4499 are final: the worker does not come back. */
export function isFatalClose(close: number): boolean {
  return close >= 4400 && close <= 4499;
}

/** `PS_INVALID_ARGUMENT` that names the option, what was given and what is expected. */
export function invalidArgument(option: string, given: unknown, expected: string): PsError {
  return new PsError('PS_INVALID_ARGUMENT', `${option} must be ${expected}, got ${describe(given)}`, {
    details: { option },
  });
}

/** Of longer arrays only the length is shown. */
const MAX_SHOWN = 8;

/** A short, safe rendering of a value for a message: never longer than about 60 characters. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value.length > 40 ? `"${value.slice(0, 40)}…"` : `"${value}"`;
  if (value === null || typeof value !== 'object') {
    return typeof value === 'function' ? 'a function' : String(value);
  }
  if (Array.isArray(value)) return describeArray(value);
  if (ArrayBuffer.isView(value)) {
    return `${value.constructor.name}(${'length' in value ? String(value.length) : value.byteLength})`;
  }
  return `an object with keys ${Object.keys(value).slice(0, 5).join(', ') || '(none)'}`;
}

/** The elements of a short array; of others how many there are. */
function describeArray(values: readonly unknown[]): string {
  const isSimple = (each: unknown): boolean => each === null || !/^(object|function)$/.test(typeof each);
  const ofMany = `an array of ${values.length}`;
  if (values.length > MAX_SHOWN) return ofMany;
  const text = `[${values.map((each) => (isSimple(each) ? describe(each) : '…')).join(', ')}]`;
  return text.length <= 60 ? text : ofMany;
}
