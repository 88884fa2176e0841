/**
 * The events of a `ServerGroup`: those of its shards, each with the shard's index, except where only all of them
 * together mean something: a worker has joined when it is at every shard, minClock has risen when it has at all.
 */
import type { LeaveReason } from '../../core/server/events.js';
import type { ParameterServerEvents } from '../server/serverEvents.js';
import { type ErrorImage, errorOfImage } from './shardMessages.js';

/** The events that shards tell their group. */
export const EVENT_NAMES: readonly (keyof ParameterServerEvents)[] = [
  'worker:join',
  'worker:leave',
  'update',
  'clock',
  'metrics',
  'rejected',
  'checkpoint',
  'warning',
  'error',
];

type EventOf<Name extends keyof ParameterServerEvents> = Parameters<ParameterServerEvents[Name]>[0];
type OfShard<Name extends keyof ParameterServerEvents> = (
  event: EventOf<Name> & { readonly shard: number },
) => void;

/** The events of a group, by name, with their listeners' arguments. */
export interface ServerGroupEvents {
  /** All shards listen. */
  listening: (event: { readonly urls: readonly string[] }) => void;
  /** A worker or reader is connected to every shard. */
  'worker:join': (event: EventOf<'worker:join'>) => void;
  /** It left the first of the shards, and why. */
  'worker:leave': (event: { readonly id: string; readonly reason: LeaveReason }) => void;
  /** Parameters of a shard changed. */
  update: OfShard<'update'>;
  /** The lowest minClock of the shards rose. */
  clock: (event: { readonly minClock: number }) => void;
  /** The metrics that workers sent with their pushes of one clock, as shard 0 averaged them. */
  metrics: ParameterServerEvents['metrics'];
  rejected: OfShard<'rejected'>;
  checkpoint: OfShard<'checkpoint'>;
  warning: OfShard<'warning'>;
  /** A shard could not do what it promised, or its process has ended. */
  error: (error: Error) => void;
  close: () => void;
}

/** Hands an event to the group's listeners. */
export type EmitGroupEvent = <Name extends keyof ServerGroupEvents>(
  name: Name,
  ...args: Parameters<ServerGroupEvents[Name]>
) => void;

/** Makes the events of a group out of those of its shards. */
export class GroupEvents {
  readonly #count: number;
  readonly #emit: EmitGroupEvent;
  readonly #clocks: number[];
  /** At which shards each worker or reader is. */
  readonly #present = new Map<string, Set<number>>();

  constructor(count: number, emit: EmitGroupEvent) {
    this.#count = count;
    this.#emit = emit;
    this.#clocks = Array.from({ length: count }, () => 0);
  }

  /** Takes what `shard` told. */
  take(shard: number, name: keyof ParameterServerEvents, [event]: readonly unknown[]): void {
    switch (name) {
      case 'worker:join':
        this.#join(shard, event as EventOf<'worker:join'>);
        break;
      case 'worker:leave':
        this.#leave(event as EventOf<'worker:leave'>);
        break;
      case 'clock':
        this.#clock(shard, (event as EventOf<'clock'>).minClock);
        break;
      case 'metrics':
        if (shard === 0) this.#emit('metrics', event as EventOf<'metrics'>);
        break;
      case 'rejected': {
        const { error, ...rest } = event as EventOf<'rejected'> & { error?: unknown };
        const told = error === undefined ? undefined : errorOfImage(error as ErrorImage);
        this.#emit('rejected', { ...rest, error: told, shard } as never);
        break;
      }
      case 'error':
        this.#emit('error', errorOfImage((event as { error: ErrorImage }).error));
        break;
      default:
        this.#emit(name as 'update', { ...(event as EventOf<'update'>), shard });
    }
  }

  #join(shard: number, event: EventOf<'worker:join'>): void {
    const at = this.#present.get(event.id) ?? new Set();
    this.#present.set(event.id, at);
    const before = at.size;
    at.add(shard);
    if (before < this.#count && at.size === this.#count) this.#emit('worker:join', event);
  }

  #leave({ id, reason }: EventOf<'worker:leave'>): void {
    const wasEverywhere = this.#present.get(id)?.size === this.#count;
    this.#present.delete(id);
    if (wasEverywhere) this.#emit('worker:leave', { id, reason });
  }

  #clock(shard: number, clock: number): void {
    const before = Math.min(...this.#clocks);
    this.#clocks[shard] = clock;
    const minClock = Math.min(...this.#clocks);
    if (minClock > before) this.#emit('clock', { minClock });
  }
}
