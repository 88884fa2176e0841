/**
 * The versions that were pulled from the server's present life. A version number means the same
 * bytes only within one incarnation, so `ifNewerThan` is sent only for a number that is known here.
 */
import type { VersionStamp } from '../protocol/versionStamp.js';

/** How many versions are remembered; an older one is pulled again in full. */
const REMEMBERED = 64;

/** The last versions pulled, of one incarnation. */
export class PulledVersions {
  #incarnation = '';
  readonly #versions = new Set<number>();

  /** The worker is connected to this life of the server. */
  enter(incarnation: string): void {
    if (incarnation === this.#incarnation) return;
    this.#incarnation = incarnation;
    this.#versions.clear();
  }

  /** Notes that `version` was pulled; returns its stamp. */
  add(version: number): VersionStamp {
    this.#versions.delete(version);
    this.#versions.add(version);
    if (this.#versions.size > REMEMBERED) {
      for (const oldest of this.#versions) {
        this.#versions.delete(oldest);
        break;
      }
    }
    return this.stamp(version);
  }

  /** The stamp of `version` of the present life. */
  stamp(version: number): VersionStamp {
    return { incarnation: this.#incarnation, version };
  }

  /** The stamp of `version` if it was pulled from this life of the server. */
  find(version: number): VersionStamp | undefined {
    return this.#versions.has(version) ? this.stamp(version) : undefined;
  }
}
