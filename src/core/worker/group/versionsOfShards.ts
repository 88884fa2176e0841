/**
 * What the one version number that callers see of a pull from a group stands for: the versions of its shards, of
 * which it is the lowest. Two pulls may share the number; then the older parts count, so that `ifNewerThan` never
 * passes over anything.
 */

/** How many numbers are remembered; an older one is pulled again in full. */
const REMEMBERED = 64;

/** The last versions pulled. */
export class VersionsOfShards {
  readonly #known = new Map<number, number[]>();

  /** Notes that `version` was pulled, and what of: a version for each server that took part, by its position. */
  add(version: number, byServer: readonly (number | undefined)[]): void {
    const before = this.#known.get(version);
    // A server that took no part: whatever its version, the caller has nothing of it.
    const joined = byServer.map((each, server) => Math.min(each ?? Infinity, before?.[server] ?? Infinity));
    this.#known.delete(version);
    this.#known.set(version, joined);
    if (this.#known.size <= REMEMBERED) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
  }

  /** The versions behind `version`, by the server's position; undefined if it was not pulled here, or long ago. */
  find(version: number): readonly number[] | undefined {
    return this.#known.get(version);
  }
}
