/** What may go wrong in a simulation, as users write it, and what that is for the simulator. */
import { invalidArgument } from '../../core/base/errors.js';
import { checkOptionObject } from '../../core/base/optionObject.js';
import type { Fault } from '../faults/faults.js';

/** A fault. Times in virtual milliseconds; `atMs` from the start, `forMs` how long it lasts. */
export type SimulatedFault =
  /** The worker's connection breaks; what is under way is lost. Both sides learn it. */
  | { readonly kind: 'loseConnection'; readonly worker: string; readonly atMs: number }
  /** Nothing passes between the worker and the server, and nobody is told. What was sent arrives afterwards. */
  | { readonly kind: 'cutOff'; readonly worker: string; readonly atMs: number; readonly forMs: number }
  /** The worker's process stops and goes on: SIGSTOP, a sleeping laptop, a blocked event loop. */
  | { readonly kind: 'stopWorker'; readonly worker: string; readonly atMs: number; readonly forMs: number }
  /** The worker's process dies; another takes its id after `forMs`; Infinity: none does. */
  | { readonly kind: 'killWorker'; readonly worker: string; readonly atMs: number; readonly forMs: number }
  /** The server's process stops and goes on. */
  | { readonly kind: 'stopServer'; readonly atMs: number; readonly forMs: number }
  /** The server's process dies, and starts again after `forMs` with what its `durability` has kept. */
  | {
      readonly kind: 'killServer';
      readonly atMs: number;
      readonly forMs: number;
      /** With the power: what was not synced is lost, and nobody is told. Default false. */
      readonly losesPower?: boolean;
    }
  /** No call to the server's disk ends for so long. */
  | { readonly kind: 'stallDisk'; readonly atMs: number; readonly forMs: number };

/** `Fault.variant`: what is under way in either direction is lost, and both ends notice at once. */
const ALL_LOST = 0;
/** `Fault.variant` of a killed server: its machine lives on. */
const PROCESS_ONLY = 1;

/** Checks `fault`. Throws `PS_INVALID_ARGUMENT` that names `option`. */
export function checkFault(option: string, fault: SimulatedFault, workers: ReadonlySet<string>): Fault {
  const known = ['kind', 'worker', 'atMs', 'forMs', 'losesPower'] as const;
  const given = checkOptionObject<Partial<Record<(typeof known)[number], unknown>>>(option, fault, known);
  const { kind, worker, atMs, forMs = 0, losesPower = false } = given;
  if (typeof atMs !== 'number' || !(atMs >= 0) || !Number.isFinite(atMs)) {
    throw invalidArgument(`${option}.atMs`, atMs, 'virtual milliseconds from 0');
  }
  const mayBeForGood = kind === 'killWorker';
  if (typeof forMs !== 'number' || !(forMs >= 0) || (!mayBeForGood && !Number.isFinite(forMs))) {
    throw invalidArgument(`${option}.forMs`, forMs, 'milliseconds from 0');
  }
  const isOfWorker = ['loseConnection', 'cutOff', 'stopWorker', 'killWorker'].includes(kind as string);
  if (isOfWorker && (typeof worker !== 'string' || !workers.has(worker))) {
    throw invalidArgument(`${option}.worker`, worker, `the id of a worker: ${[...workers].join(', ')}`);
  }
  const at = { at: atMs, ms: forMs, worker: (worker as string | undefined) ?? '' };
  switch (kind) {
    case 'loseConnection':
      return { ...at, kind: 'reset', variant: ALL_LOST };
    case 'killServer':
      return { ...at, kind, variant: losesPower === true ? 0 : PROCESS_ONLY };
    case 'cutOff':
    case 'stopWorker':
    case 'killWorker':
    case 'stopServer':
    case 'stallDisk':
      return { ...at, kind, variant: 0 };
    default: {
      const kinds = 'loseConnection, cutOff, stopWorker, killWorker, stopServer, killServer or stallDisk';
      throw invalidArgument(`${option}.kind`, kind, kinds);
    }
  }
}
