/**
 * Where a simulated server keeps its state beyond its life: nowhere, or with the production storage on a
 * simulated disk.
 */

import { type Shard, WHOLE } from '../../core/partition/keyRange.js';
import type { ServerEffect } from '../../core/server/events.js';
import type { JournalRecord } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import { Storage } from '../../io/storage/storage.js';
import type { SimDisk } from '../disk/simDisk.js';
import type { SimProcess } from '../network/simProcess.js';

/** How a server keeps its state. */
export type SimDurability = 'memory' | 'journal' | 'journal-async' | 'checkpoint';

/** One life of a server, as its store sees it. */
export interface StoreHost {
  readonly process: SimProcess;
  /** Runs `action` on the core and carries its effects out, after what is under way. */
  run(action: (core: ServerCore) => readonly ServerEffect[]): void;
  note(text: string): void;
}

/** What a server asks of its store. */
export interface ServerStore {
  /** Records must be persisted before they are acknowledged. */
  readonly isDurable: boolean;
  /** Whether there is a state of an earlier life. */
  readonly hasState: boolean;
  /** Work that has not ended. */
  readonly pending: number;
  /** Brings `core` to the state that was kept; calls `done` when the server may be used. */
  open(core: ServerCore, host: StoreHost, done: () => void): void;
  append(number: number, record: JournalRecord): void;
  /** The effects of a turn have been carried out. */
  flush(): void;
  onTick(now: number): void;
  /** Writes what is left and gives the directory back; then calls `done`. */
  close(done: () => void): void;
  /** The process has died. */
  crashed(losesPower: boolean): void;
}

/** Keeps nothing. */
export class MemoryStore implements ServerStore {
  readonly isDurable = false;
  readonly hasState = false;
  readonly pending = 0;

  open(_core: ServerCore, _host: StoreHost, done: () => void): void {
    done();
  }

  append(): void {}
  flush(): void {}
  onTick(): void {}

  close(done: () => void): void {
    done();
  }

  crashed(): void {}
}

const DIRECTORY = 'data';

/** Keeps a data directory on a simulated disk. */
export class DiskStore implements ServerStore {
  readonly isDurable: boolean;
  readonly disk: SimDisk;
  readonly #durability: Exclude<SimDurability, 'memory'>;
  readonly #checkpointMs: number;
  readonly #shard: Shard;
  #storage: Storage | undefined;
  #salt = 0;
  #life = 0;

  /** `checkpointMs`: time between two checkpoints; Infinity: none. `shard`: of the server. */
  constructor(
    disk: SimDisk,
    durability: Exclude<SimDurability, 'memory'>,
    checkpointMs: number,
    shard: Shard = WHOLE,
  ) {
    this.#shard = shard;
    this.disk = disk;
    this.#durability = durability;
    this.#checkpointMs = checkpointMs;
    this.isDurable = durability !== 'checkpoint';
  }

  get hasState(): boolean {
    return !this.disk.isEmpty;
  }

  get pending(): number {
    return this.disk.pending;
  }

  open(core: ServerCore, host: StoreHost, done: () => void): void {
    const { process } = host;
    const storage = new Storage(
      {
        disk: this.disk.mount(process),
        directory: DIRECTORY,
        durability: this.#durability,
        checkpoint: { intervalMs: this.#checkpointMs, journalBytes: Number.POSITIVE_INFINITY, keep: 2 },
        shard: this.#shard,
        settings: core.state.configured,
        lineage: core.lineage,
        self: { token: (++this.#life).toString(16), host: 'server', boot: 'machine', pid: this.#life },
        newSalt: () => ++this.#salt,
      },
      {
        run: (action) => host.run(action),
        now: () => process.now,
        after: (ms, action) => void process.after(ms, action),
        onCheckpoint: ({ version }) => host.note(`has a checkpoint of version ${version}`),
        onWarning: (message) => host.note(`warns: ${message}`),
        onError: (error) => host.note(`says: ${error.code} ${error.message}`),
      },
    );
    this.#storage = storage;
    storage.open(core, (error) => {
      if (error === null) done();
      else host.note(`can't start: ${error.code} ${error.message}`);
    });
  }

  append(number: number, record: JournalRecord): void {
    this.#storage?.append(number, record);
  }

  flush(): void {
    this.#storage?.flush();
  }

  onTick(now: number): void {
    this.#storage?.onTick(now);
  }

  close(done: () => void): void {
    if (this.#storage === undefined) done();
    else this.#storage.close((error) => (error === null ? done() : undefined));
  }

  crashed(losesPower: boolean): void {
    this.#storage = undefined;
    this.disk.abandon(losesPower);
  }
}
