/** What a training loop is told; what it does with it is in `StepLoop`. */
import type { BatchSource } from './batchSource.js';
import type { RowsOfBatch } from './rowsAhead.js';
import type { StepEvent } from './workerEvents.js';

/** What a loop is told. */
export interface LoopOptions<B> {
  readonly source: BatchSource<B>;
  /** Infinity: as long as there are batches. */
  readonly maxSteps: number;
  /** Steps whose communication may overlap computing. */
  readonly pipeline: number;
  /** The rows that a batch needs; undefined: none. */
  readonly rowsOf: RowsOfBatch<B> | undefined;
  readonly signal: AbortSignal | undefined;
  readonly pullTimeoutMs: number;
  readonly maxStepMs: number;
  /** How long a server may be away, or without room for pushes. */
  readonly reconnect: { readonly maxOfflineMs: number };
  readonly onRollback: 'reject' | 'continue';
  readonly onStep: (event: StepEvent) => void;
}
