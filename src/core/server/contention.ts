/**
 * What is done when somebody waits for what transfers hold: a version, memory for rows, room for a push. Transfers have a
 * deadline then, and readers leave one version to those who train. Who only drips holds up nobody for long.
 */
import type { VersionStore } from '../table/versionStore.js';
import type { ServerLimits } from './limits.js';

/** A training pull that has waited so long for a version has readers make room. */
const YIELD_AFTER_MS = 1000;
/** For so long: who came back for more at once would hold every version again. */
const YIELD_MS = 600_000;
/** Those that hold a version too many then are cut off when they have taken so long, and need as much again. */
export const MAKE_ROOM_MS = 2000;

/** How far a transfer is. */
export interface Progress {
  readonly since: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** How long a transfer may hold what others wait for: they are to be answered within `pullTimeoutMs`. */
export function holdMs({ pullTimeoutMs }: Pick<ServerLimits, 'pullTimeoutMs'>): number {
  return pullTimeoutMs / 2;
}

/** Whether a transfer that others wait for has taken `maxMs` and, at its rate so far, needs longer than that for the rest. */
export function isOverdue({ since, doneBytes, totalBytes }: Progress, now: number, maxMs: number): boolean {
  const elapsed = now - since;
  return elapsed >= maxMs && (totalBytes - doneBytes) * elapsed > doneBytes * maxMs;
}

/** Readers' share of the versions: those who train are not kept waiting for theirs. */
export class ReadersShare {
  readonly #versions: VersionStore;
  readonly #pinnedVersions: number;
  #yieldUntil = Number.NEGATIVE_INFINITY;

  constructor(versions: VersionStore, { pinnedVersions }: ServerLimits) {
    this.#versions = versions;
    this.#pinnedVersions = pinnedVersions;
  }

  /**
   * Time has passed. `waitedMs`: for how long a training pull has waited for a version, 0 if none does. Returns whether
   * readers have to make room for it now.
   */
  onTick(now: number, waitedMs: number): boolean {
    const isLong = waitedMs >= YIELD_AFTER_MS;
    if (isLong) this.#yieldUntil = now + YIELD_MS;
    const spare = now < this.#yieldUntil ? 1 : 0;
    this.#versions.maxGuestVersions = Math.max(1, this.#pinnedVersions - spare);
    return isLong;
  }
}
