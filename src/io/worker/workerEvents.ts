/** The events of a `Worker`, by name, with their listeners' arguments. */
import type { Laggard, PsError } from '../../core/base/errors.js';
import type { Outcome, WaitReason } from '../../core/protocol/messages.js';
import type { Rollback, WorkerObservation } from '../../core/worker/events.js';

/** Which server of a group an event is about. */
interface OfServer {
  /** The position of its url; absent where there is one server. */
  readonly server?: number;
}

/** The server lost updates of this worker, or its whole state. */
export interface RollbackEvent extends Rollback, OfServer {}

/** One step of `run` or `steps` has ended. */
export interface StepEvent {
  /** Counts from 0. */
  readonly step: number;
  /** The worker's clock after it. */
  readonly clock: number;
  /** What happened to its push; undefined for a step without one. */
  readonly outcome: Outcome | undefined;
  readonly duplicate: boolean;
  /** The server's version after the push. */
  readonly version: number | undefined;
  /** Updates applied between the pull it was computed from and the push. */
  readonly delay: number | undefined;
  readonly metrics: Readonly<Record<string, number>> | undefined;
  readonly examples: number;
  /** How long the step waited for pulls and pushes. */
  readonly waitMs: number;
}

/** A pull waits. */
export interface WaitingEvent extends OfServer {
  /** `'staleness'`: the bound on lead; `'minWorkers'`: too few have joined; `'version'`: no room for another version. */
  readonly reason: WaitReason;
  /** For whom it waits, slowest first. */
  readonly laggards: readonly Laggard[];
}

/** The connection was lost, or an attempt failed. */
export interface ReconnectingEvent extends OfServer {
  /** Counts from 1. */
  readonly attempt: number;
  /** When the next attempt is made. */
  readonly delayMs: number;
  /** Why. */
  readonly error: PsError;
}

/** A connection is open; to a group: all are. */
export interface OpenEvent {
  /** Whether the server knew this worker's session. */
  readonly resumed: boolean;
  readonly clock: number;
  /** The server's version; of a group the lowest. */
  readonly version: number;
}

/** The events of a worker. */
export interface WorkerEvents {
  /** An attempt to connect begins. */
  connecting: (event: { readonly attempt: number } & OfServer) => void;
  /** A connection is open; to a group: all are. */
  open: (event: OpenEvent) => void;
  /** A step of `run` or `steps` has ended. */
  step: (event: StepEvent) => void;
  /** A pull waits, or waits for others than before. */
  waiting: (event: WaitingEvent) => void;
  /** The connection was lost, or an attempt failed; another will be made. */
  reconnecting: (event: ReconnectingEvent) => void;
  /** The server lost updates of this worker, or its whole state. */
  rollback: (event: RollbackEvent) => void;
  /** The worker has ended; `error` is why, unless it was asked to. */
  close: (event: { readonly error: PsError | undefined }) => void;
  /** The worker has ended by itself, or a listener threw. */
  error: (error: unknown) => void;
}

/** What the listeners and the logger are told of an observation. */
export interface Report {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
  /** The event's name; undefined: it is none. */
  readonly name: keyof WorkerEvents | undefined;
  readonly event: object | undefined;
}

/** The event and the log line of an observation. */
export function eventOf(observation: WorkerObservation): Report {
  const { server } = observation;
  const report = reportOf(observation);
  if (server === undefined) return report;
  const event = report.event === undefined ? undefined : { ...report.event, server };
  return { ...report, text: `url ${server + 1}: ${report.text}`, event };
}

function reportOf(observation: WorkerObservation): Report {
  switch (observation.kind) {
    case 'connecting': {
      const { attempt } = observation;
      return {
        level: 'debug',
        text: `connecting, attempt ${attempt}`,
        name: 'connecting',
        event: { attempt },
      };
    }
    case 'open': {
      const { resumed, clock, version } = observation;
      const text = `connected at clock ${clock}, version ${version}`;
      return { level: 'info', text, name: 'open', event: { resumed, clock, version } };
    }
    case 'waiting': {
      const { reason, laggards } = observation;
      const text = `waits (${reason}) ${laggards.map(({ id, clock }) => `${id}@${clock}`).join(', ')}`;
      return { level: 'debug', text, name: 'waiting', event: { reason, laggards } };
    }
    case 'reconnecting': {
      const { attempt, delayMs, error } = observation;
      const text = `connecting again in ${Math.round(delayMs)} ms: ${error.message}`;
      return { level: 'warn', text, name: 'reconnecting', event: { attempt, delayMs, error } };
    }
    case 'rollback': {
      const { rollback } = observation;
      const text = `the server lost ${rollback.lostPushes} pushes of this worker`;
      return { level: 'warn', text, name: 'rollback', event: rollback };
    }
    case 'revoked': {
      const text = `${observation.leases.length} tasks are not wanted any more`;
      return { level: 'debug', text, name: undefined, event: undefined };
    }
    case 'finish':
      return { level: 'info', text: `finish: ${observation.reason}`, name: undefined, event: undefined };
    case 'closed': {
      const { error } = observation;
      const text = error === undefined ? 'closed' : `ended: ${error.message}`;
      return { level: error === undefined ? 'info' : 'error', text, name: 'close', event: { error } };
    }
  }
}

/** Tells the listeners of `name`; what one throws is logged, goes to the listeners of `error`, and no further. */
export function tellListeners<E extends keyof WorkerEvents>(
  emitter: { emit(name: keyof WorkerEvents, event: never): unknown },
  name: E,
  event: Parameters<WorkerEvents[E]>[0],
  log: (text: string) => void,
): void {
  try {
    emitter.emit(name, event as never);
  } catch (error) {
    log(`a listener of "${name}" threw: ${String(error)}`);
    if (name !== 'error') tellListeners(emitter, 'error', error as never, log);
  }
}
