/**
 * Dates ↔ the bytes of msgpack's timestamp:
 *
 *     32 bits   u32 seconds
 *     64 bits   u30 nanoseconds | u34 seconds
 *     96 bits   u32 nanoseconds | i64 seconds        all big-endian, seconds since 1970
 *
 * A Date is here a value that is written and read; nobody asks what time it is.
 */
import { PsError } from '../base/errors.js';

const WORD = 0x1_0000_0000;

/** The shortest form of `date`. Throws `PS_VALUE_INVALID` for an invalid one. */
export function timestampOf(date: Date): Uint8Array {
  const ms = date.getTime();
  if (!Number.isFinite(ms)) throw new PsError('PS_VALUE_INVALID', 'it holds an invalid Date');
  const seconds = Math.floor(ms / 1000);
  const nanoseconds = (ms - seconds * 1000) * 1e6;
  if (nanoseconds === 0 && seconds >= 0 && seconds < WORD) return words(seconds);
  const high = Math.floor(seconds / WORD);
  if (high >= 0 && high < 4) return words(nanoseconds * 4 + high, seconds);
  return words(nanoseconds, high, seconds);
}

/** Each modulo 2^32. */
function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    view.setUint32(4 * i, value);
  });
  return bytes;
}

/** The date in `bytes`; undefined if there is none. */
export function dateOfTimestamp(bytes: Uint8Array): Date | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return dateOf(view.getUint32(0), 0);
  if (bytes.length === 8) {
    const first = view.getUint32(0);
    return dateOf((first % 4) * WORD + view.getUint32(4), Math.floor(first / 4));
  }
  if (bytes.length !== 12) return undefined;
  return dateOf(view.getInt32(4) * WORD + view.getUint32(8), view.getUint32(0));
}

function dateOf(seconds: number, nanoseconds: number): Date {
  return new Date(seconds * 1000 + nanoseconds / 1e6);
}
