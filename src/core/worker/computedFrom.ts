/**
 * The version that the next gradient counts as computed from: that of the last training pull of tensors, or of rows
 * that were pulled since the push before, if one of those is older.
 */
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { PulledFrom } from './events.js';

/** What training pulls brought. */
export class ComputedFrom {
  #dense: VersionStamp | undefined;
  #rows: VersionStamp | undefined;

  /** A training pull was answered. */
  add(stamp: VersionStamp, isOfRows: boolean): void {
    if (isOfRows) this.#rows = older(this.#rows, stamp);
    else this.#dense = stamp;
  }

  /** Undefined: nothing was pulled. */
  oldest(): VersionStamp | undefined {
    return this.#rows === undefined ? this.#dense : older(this.#dense, this.#rows);
  }

  /** A push goes out: rows that were pulled for it are not those of the next. */
  used(): void {
    this.#rows = undefined;
  }

  /** What was pulled is gone. */
  clear(): void {
    this.#dense = undefined;
    this.#rows = undefined;
  }
}

/** What a gradient counts as computed from that several pulls were made for: for each server the oldest. */
export function oldestOf(pulls: readonly PulledFrom[]): PulledFrom {
  const oldest: (VersionStamp | undefined)[] = [];
  for (const pulled of pulls) {
    pulled.forEach((stamp, i) => {
      oldest[i] = stamp === undefined ? oldest[i] : older(oldest[i], stamp);
    });
  }
  return oldest;
}

/** Versions of two lives of a server can't be compared: the one pulled last counts then. */
function older(known: VersionStamp | undefined, stamp: VersionStamp): VersionStamp {
  const isOlder = known?.incarnation === stamp.incarnation && known.version < stamp.version;
  return isOlder ? known : stamp;
}
