/**
 * The pause of a run while its page is hidden: the data gives no batch, so no step begins, and the worker is out
 * of the clock table, so nobody waits for it. A step that is under way is finished.
 */
import type { BatchItem, BatchSource } from './batchSource.js';

/** Whether steps may begin. */
export class Intermission {
  readonly #leave: () => void;
  #over: Promise<void> | undefined;
  #end: () => void = () => {};

  /** `leave` takes the worker out of the clock table. It enters again with its next pull, push or tick. */
  constructor(leave: () => void) {
    this.#leave = leave;
  }

  begin(): void {
    this.#over ??= new Promise((resolve) => {
      this.#end = resolve;
    });
    // At once: a gradient function that waits for the page to be painted would keep everybody waiting.
    this.#leave();
  }

  end(): void {
    this.#over = undefined;
    this.#end();
  }

  /** `source`, which gives nothing while the intermission lasts. */
  around<B>(source: BatchSource<B>): BatchSource<B> {
    return {
      next: (step) => (this.#over === undefined ? source.next(step) : this.#after(this.#over, source, step)),
      close: () => source.close(),
      onRollback: () => source.onRollback?.(),
      waitsOutside: source.waitsOutside === true,
    };
  }

  async #after<B>(over: Promise<void>, source: BatchSource<B>, step: number): Promise<BatchItem<B>> {
    // The step that has just ended entered the clock table again with its push.
    this.#leave();
    await over;
    return this.#over === undefined ? source.next(step) : this.#after(this.#over, source, step);
  }
}
