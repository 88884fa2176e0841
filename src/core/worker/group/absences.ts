/**
 * Which shards the worker has lost, and since when. A shard keeps the place of a worker whose connection closed for a
 * while, then the others there go on without it; so the worker gives up its place at the other shards after the same
 * while. Else they would wait for a clock that can't rise, as every tick has to reach every shard.
 */
import type { Member } from './members.js';

/** How long a shard that doesn't say keeps a worker's place. */
const DEFAULT_GRACE_MS = 5_000;

/** The members without a connection. */
export class Absences {
  readonly #since = new Map<Member, number>();

  /** `member` is without a connection; it may have been before. */
  lost(member: Member, now: number): void {
    if (!this.#since.has(member)) this.#since.set(member, now);
  }

  back(member: Member): void {
    this.#since.delete(member);
  }

  /** Time stands still until the worker runs again, and finds out anew. */
  sleep(): void {
    this.#since.clear();
  }

  /** When the first of them has been away for too long; Infinity: none is away. */
  get dueAt(): number {
    let dueAt = Number.POSITIVE_INFINITY;
    for (const [{ core }, since] of this.#since) {
      dueAt = Math.min(dueAt, since + (core.server.graceMs ?? DEFAULT_GRACE_MS));
    }
    return dueAt;
  }

  /** One that is away, the longest first. */
  get first(): Member | undefined {
    for (const member of this.#since.keys()) return member;
    return undefined;
  }
}
