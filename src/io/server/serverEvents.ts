/** The events of a `ParameterServer`, and what the core observes as those events. */
import type { PsError } from '../../core/base/errors.js';
import type { LeaveReason, Observation } from '../../core/server/events.js';
import type { Logger } from '../logger.js';

/** The events of a server, by name, with their listeners' arguments. */
export interface ParameterServerEvents {
  /** It listens (or is attached). */
  listening: (event: { readonly url: string | undefined }) => void;
  /** A worker or reader is connected. */
  'worker:join': (event: {
    readonly id: string;
    readonly epoch: number;
    readonly role: 'worker' | 'reader';
  }) => void;
  /** It said goodbye, or lost its place, and why. */
  'worker:leave': (event: { readonly id: string; readonly reason: LeaveReason }) => void;
  /** The parameters changed: their version rose by 1. */
  update: (event: {
    readonly version: number;
    /** Who pushed it; under BSP all whose updates were merged, in order. */
    readonly workers: readonly string[];
    /** The clock it was made in. */
    readonly clock: number;
    /** Updates applied since the version it was computed from. */
    readonly delay: number;
    /** Whether the `delay` option reduced its learning rate. */
    readonly scaled: boolean;
    /** How long applying it took, in milliseconds of computing. */
    readonly applyMs: number;
  }) => void;
  /** minClock rose. */
  clock: (event: { readonly minClock: number }) => void;
  /** The metrics that workers sent with their pushes of one clock, averaged by examples. */
  metrics: (event: {
    readonly clock: number;
    readonly workers: number;
    readonly examples: number;
    readonly metrics: Readonly<Record<string, number>>;
  }) => void;
  /** A message was refused, or a push dropped as too late (then `error` is undefined). */
  rejected: (event: {
    readonly id: string | undefined;
    readonly error: PsError | undefined;
    readonly clock?: number;
    readonly delay?: number;
  }) => void;
  /** A checkpoint was taken in `dataDir`. */
  checkpoint: (event: {
    readonly path: string;
    readonly bytes: number;
    /** Updates in it. */
    readonly version: number;
  }) => void;
  /** An epoch of a data set is over: every example of it is counted. With the metrics that `onEpoch` returned. */
  epoch: (event: {
    readonly dataSet: number;
    readonly epoch: number;
    readonly examples: number;
    readonly version: number;
    readonly metrics: Readonly<Record<string, number>>;
  }) => void;
  /** A data shard is wholly counted. */
  dataShard: (event: {
    /** The worker that pushed the last of it. */
    readonly id: string;
    readonly dataSet: number;
    readonly epoch: number;
    readonly dataShard: number;
    /** Of the epoch: counted so far, and in all. */
    readonly examples: number;
    readonly size: number;
  }) => void;
  /** Something that its owner may want to know. */
  warning: (event: { readonly message: string }) => void;
  /** The user's own code failed, or the server could not do what it promised. */
  error: (error: PsError) => void;
  /** It is closed. */
  close: () => void;
}

/** Hands `observation` to `emit` as an event; `listeners` says whether anyone listens. */
export function emitObservation(
  observation: Observation,
  listeners: { listenerCount(name: 'update'): number },
  emit: <K extends keyof ParameterServerEvents>(
    name: K,
    ...args: Parameters<ParameterServerEvents[K]>
  ) => void,
): void {
  if (observation.kind === 'pull') return;
  // One for each push: not worth an object when nobody listens.
  if (observation.kind === 'update' && listeners.listenerCount('update') === 0) return;
  const { kind, ...event } = observation;
  switch (observation.kind) {
    case 'join':
      emit('worker:join', event as never);
      break;
    case 'leave':
      emit('worker:leave', event as never);
      break;
    case 'update':
    case 'clock':
    case 'metrics':
    case 'dataShard':
    case 'warning':
    case 'checkpoint':
      emit(observation.kind, event as never);
      break;
    case 'rejected':
      emit('rejected', { id: observation.id, error: observation.error });
      break;
    case 'dropped': {
      const { id, clock, delay } = observation;
      emit('rejected', { id, error: undefined, clock, delay });
      break;
    }
    case 'error':
      emit('error', observation.error);
      break;
  }
}

/** Tells the user's logger what people may want to read later. */
export function logObservation(observation: Observation, logger: Logger | undefined): void {
  if (logger === undefined) return;
  switch (observation.kind) {
    case 'join':
      logger.info(`${observation.role} ${observation.id} joined, epoch ${observation.epoch}`);
      break;
    case 'leave':
      logger.info(`${observation.id} left: ${observation.reason}`);
      break;
    case 'rejected':
      logger.warn(
        `refused ${observation.id ?? 'a connection'}: ${observation.error.code} ${observation.error.message}`,
      );
      break;
    case 'warning':
      logger.warn(observation.message);
      break;
    case 'error':
      logger.error(`${observation.error.code} ${observation.error.message}`);
      break;
  }
}

/** Calls the user's code. If it throws, that is the user's bug: it surfaces as such, and harms nothing here. */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
