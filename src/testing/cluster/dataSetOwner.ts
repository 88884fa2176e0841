/**
 * Who gives a simulated server its data set: begins it, or goes on with it in a later life, and opens one epoch after
 * the other. It does what `io/server/tasks/dataSetRun.ts` does with promises.
 */
import { encodeValue } from '../../core/protocol/valueCodec.js';
import type { ServerEffect } from '../../core/server/events.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { DataSet } from '../../core/tasks/dataSet.js';
import type { SimProcess } from '../network/simProcess.js';

/** A data set, and how long its owner takes between two epochs. */
export interface SimDataSet {
  readonly dataSet: DataSet;
  readonly pauseMs: number;
  /** How long a worker that makes no progress keeps a data shard. */
  readonly leaseMs: number;
}

type Action = Parameters<ServerCore['command']>[0];

/** The item of an example. */
export function itemOf(example: number): number {
  return example * 3 + 1;
}

/** The owner of a data set in one life of its server. */
export class DataSetOwner {
  readonly #data: SimDataSet;
  readonly #process: SimProcess;
  readonly #command: (action: Action) => void;

  /** `command` runs an action on the core of this life. */
  constructor(data: SimDataSet, process: SimProcess, command: (action: Action) => void) {
    this.#data = data;
    this.#process = process;
    this.#command = command;
  }

  /** The server has its state. */
  begin(): void {
    const { dataSet, leaseMs } = this.#data;
    this.#command(({ state }, { tasks }) => {
      if (state.data.current === undefined) tasks.data.record({ kind: 'dataSet', number: 1, dataSet });
      tasks.data.attach(dataSet.hasItems ? { encode: encodeItems } : undefined, leaseMs);
    });
  }

  /** Looks for the end of an epoch among what the server observes. */
  look(effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      if (effect.kind !== 'observe' || effect.observation.kind !== 'epoch') continue;
      const epoch = effect.observation.epoch + 1;
      const isEnd = epoch === this.#data.dataSet.epochs;
      this.#process.after(this.#data.pauseMs, () =>
        this.#command((_context, { tasks }) =>
          tasks.data.record({ kind: 'epoch', epoch: isEnd ? epoch - 1 : epoch, isEnd }),
        ),
      );
    }
  }
}

function encodeItems(examples: Uint32Array | Float64Array): ReturnType<typeof encodeValue> {
  return encodeValue(Array.from(examples, itemOf));
}
