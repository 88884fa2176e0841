/**
 * One process of a worker in a simulated cluster: the production core with the production outbox, on a
 * simulated process and network. It does what `io/worker/workerHost.ts` does with sockets, timers and
 * promises; a caller's call ends in a callback.
 */
import type { PsError } from '../../core/base/errors.js';
import { decodeFrame } from '../../core/protocol/codec.js';
import type { RequestValue, WorkerCommand, WorkerEffect, WorkerEvent } from '../../core/worker/events.js';
import { WorkerCore, type WorkerCoreOptions } from '../../core/worker/workerCore.js';
import type { WorkerMachine } from '../../core/worker/workerMachine.js';
import { Outbox } from '../../io/transport/outbox.js';
import type { Transport } from '../../io/transport/transport.js';
import type { Attempt, Listener, Network } from '../network/network.js';
import type { SimProcess } from '../network/simProcess.js';
import type { ClusterObserver } from './observer.js';

/** A command without its number, which the worker gives. */
export type Command = WorkerCommand extends infer C
  ? C extends WorkerCommand
    ? Omit<C, 'request'>
    : never
  : never;

/** How a call ended. */
export type Ended<T extends RequestValue = RequestValue> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly error: PsError; readonly value?: undefined };

/** What a simulated worker is made with. */
export interface SimWorkerParts {
  readonly process: SimProcess;
  /** Which process under its id, from 1. */
  readonly number: number;
  readonly network: Network;
  readonly server: Listener;
  /** In a group: the servers of the other urls. */
  readonly others?: readonly Listener[];
  readonly core: WorkerCoreOptions;
  /** Default: the core for one server. */
  readonly makeCore?: (options: WorkerCoreOptions) => WorkerMachine;
  readonly windowBytes: number;
  readonly observer: Required<ClusterObserver>;
}

interface WorkerLink {
  readonly server: number;
  readonly connection: number;
  attempt: Attempt | undefined;
  transport: Transport | undefined;
  outbox: Outbox | undefined;
}

/** A worker's process. */
export class SimWorker {
  readonly id: string;
  readonly number: number;
  readonly process: SimProcess;
  readonly core: WorkerMachine;
  readonly #parts: SimWorkerParts;
  readonly #pending = new Map<number, (ended: Ended) => void>();
  readonly #queue: WorkerEvent[] = [];
  #lastRequest = 0;
  #isStepping = false;
  /** The open one of each server. */
  readonly #links: (WorkerLink | undefined)[] = [];
  #wakeAt = Number.POSITIVE_INFINITY;
  #wake: { isCancelled: boolean } | undefined;

  constructor(parts: SimWorkerParts) {
    this.#parts = parts;
    this.id = parts.core.id;
    this.number = parts.number;
    this.process = parts.process;
    const { makeCore = (options) => new WorkerCore(options) } = parts;
    this.core = makeCore(parts.core);
  }

  /** Requests that have not ended. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Makes a request; `onEnded` is called once, unless the process dies. Returns its number. */
  call(command: Command, onEnded: (ended: Ended) => void): number {
    const request = ++this.#lastRequest;
    this.#pending.set(request, onEnded);
    // In place: most objects made in a run are these.
    const event = command as Command & { request?: number; now?: number };
    event.request = request;
    event.now = this.process.now;
    this.#dispatch(event as WorkerEvent);
    return request;
  }

  /** Gives up `request`. */
  cancel(request: number, error: PsError): void {
    this.#dispatch({ kind: 'cancel', request, error, now: this.process.now });
  }

  #dispatch(event: WorkerEvent): void {
    this.#queue.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const effect of this.core.step(next)) this.#carryOut(effect);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#arm();
  }

  #arm(): void {
    // On a grid of exact binary fractions: a tick that comes too early by a rounding error is none.
    const at = Math.ceil(this.core.nextTickAt() * 1024) / 1024;
    if (at === this.#wakeAt) return;
    this.#wakeAt = at;
    if (this.#wake !== undefined) this.#wake.isCancelled = true;
    this.#wake = undefined;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#wake = this.process.at(this.process.timeOf(at), () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#dispatch({ kind: 'tick', now: this.process.now });
    });
  }

  #carryOut(effect: WorkerEffect): void {
    switch (effect.kind) {
      case 'connect':
        this.#open(effect.server ?? 0, effect.connection);
        break;
      case 'send':
        this.#links[effect.server ?? 0]?.outbox?.send(
          effect.message,
          effect.payload,
          this.#whenTaken(effect),
        );
        break;
      case 'stream':
        this.#links[effect.server ?? 0]?.outbox?.stream(effect.stream);
        break;
      case 'displace':
        // Frames come whole here: nothing is written to a place.
        break;
      case 'close':
        this.#links[effect.server ?? 0]?.transport?.close(effect.code, effect.reason);
        break;
      case 'terminate':
        this.#terminate(effect.server ?? 0);
        break;
      case 'settle':
        this.#end(effect.request, { value: effect.value });
        break;
      case 'fail':
        this.#end(effect.request, { error: effect.error });
        break;
      case 'observe':
        this.#parts.observer.workerObserves(this.id, this.number, effect.observation);
        break;
    }
  }

  #whenTaken(effect: {
    whenTaken?: number | undefined;
    tellTaken?: number | undefined;
  }): (() => void) | undefined {
    const { whenTaken, tellTaken } = effect;
    if (whenTaken !== undefined) return () => this.#end(whenTaken, { value: undefined });
    if (tellTaken === undefined) return undefined;
    return () => this.#dispatch({ kind: 'taken', request: tellTaken, now: this.process.now });
  }

  /** Calls back in a later turn, as a promise would. */
  #end(request: number, ended: Ended): void {
    const onEnded = this.#pending.get(request);
    this.#pending.delete(request);
    if (onEnded !== undefined) this.process.after(0, () => onEnded(ended));
  }

  #open(server: number, connection: number): void {
    const { network, server: first, others = [], windowBytes } = this.#parts;
    const link: WorkerLink = {
      server,
      connection,
      attempt: undefined,
      transport: undefined,
      outbox: undefined,
    };
    this.#links[server] = link;
    const listener = server === 0 ? first : (others[server - 1] as Listener);
    link.attempt = network.dial(this.id, this.process, listener, {
      onOpen: (transport) => {
        link.transport = transport;
        link.outbox = new Outbox(transport, windowBytes, (stream) =>
          this.#dispatch({ kind: 'streamEnded', server, stream, now: this.process.now }),
        );
        this.#dispatch({ kind: 'opened', server, connection, now: this.process.now });
      },
      onFrame: (frame) => this.#onFrame(link, frame),
      onText: () => {},
      onClose: (code, reason) => this.#onClose(link, code, reason),
    });
  }

  #onFrame(link: WorkerLink, frame: Uint8Array): void {
    const { server, connection } = link;
    if (this.#links[server] !== link) return;
    const { now } = this.process;
    let event: WorkerEvent;
    try {
      const { message, payload } = decodeFrame(frame);
      this.#parts.observer.workerReceives(this.id, this.number, message, payload);
      event = { kind: 'message', server, connection, message, payload, now };
    } catch (error) {
      event = { kind: 'malformed', server, connection, error: error as PsError, now };
    }
    this.#dispatch(event);
  }

  #onClose(link: WorkerLink, code: number, reason: string): void {
    const { server, connection } = link;
    if (this.#links[server] === link) this.#links[server] = undefined;
    this.#dispatch({ kind: 'closed', server, connection, code, reason, now: this.process.now });
    link.outbox?.close();
  }

  #terminate(server: number): void {
    const link = this.#links[server];
    this.#links[server] = undefined;
    link?.attempt?.abort();
    link?.transport?.terminate();
    link?.outbox?.close();
  }
}
