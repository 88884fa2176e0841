/**
 * In which tensors the pieces of memory of a version store differ from the current version. So a version that is
 * written into other memory need not copy the whole model: only what has changed since that memory was current.
 */

/** What is known of each piece of memory. */
export class Differences {
  /** Positions of tensors; a piece of memory that is not here may differ anywhere. */
  readonly #of = new Map<Float32Array, Set<number>>();

  /** Tensors, by position, in which `memory` may differ from the current version; undefined: in any. */
  of(memory: Float32Array): ReadonlySet<number> | undefined {
    return this.#of.get(memory);
  }

  /** `current` holds the current version, which differs from the one before in `changed`; undefined: in any tensor. */
  published(current: Float32Array, changed: readonly number[] | undefined): void {
    const own = this.#of.get(current);
    for (const [memory, tensors] of this.#of) {
      if (tensors === own) continue;
      if (changed === undefined) this.#of.delete(memory);
      else for (const index of changed) tensors.add(index);
    }
    if (own === undefined) this.#of.set(current, new Set());
    else if (own.size > 0) own.clear();
  }

  /** Nobody knows any more what stands in `memory`. */
  spoiled(memory: Float32Array): void {
    this.#of.delete(memory);
  }

  /** Nobody knows what stands anywhere but in `current`. */
  restart(current: Float32Array): void {
    this.published(current, undefined);
  }
}
