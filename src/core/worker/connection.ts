/**
 * The worker's way to its server through all connections: dialling, the handshake, liveness, backoff,
 * and the end. What is asked and answered over it is not known here; its owner is told when it opens,
 * is lost and has ended.
 *
 *     idle ──connect──▶ dialing ──opened──▶ greeting ──Welcome──▶ open
 *                         ▲                    │                   │
 *                         └────── waiting ◀────┴──── lost ◀────────┘
 *     any ──close, or an error that is final──▶ (closing ──▶) closed
 *     any ──sleep──▶ asleep ──wake──▶ waiting
 */
import { isFatalClose, PsError } from '../base/errors.js';
import { type Message, MessageType } from '../protocol/messages.js';
import type { Welcome } from '../protocol/sessionMessages.js';
import { ConnectCalls } from './connectCalls.js';
import type { ConnectionOwner } from './connectionOwner.js';
import type { Effects } from './effects.js';
import type { NetworkEvent } from './events.js';
import { closedError, errorOfClose, errorOfFault, lostConnection, unexpected } from './faults.js';
import { Liveness } from './liveness.js';
import type { Reconnection } from './reconnection.js';
import { ServerIdentity } from './serverIdentity.js';
import { helloOf, type WorkerIdentity } from './workerIdentity.js';

/** How long one attempt may take, from dialling to Welcome. */
const ATTEMPT_MS = 10_000;
/** How long a connection that was asked to close may take. */
const CLOSE_MS = 5000;
/** How long a server that announced its end may take. */
const DRAIN_MS = 60_000;
/** How long a connection that may have died unseen has to prove that it lives. */
const PROBE_MS = 5000;
const NEVER = Number.POSITIVE_INFINITY;

type Phase = 'idle' | 'asleep' | 'waiting' | 'dialing' | 'greeting' | 'open' | 'closing' | 'closed';
const WITHOUT_CONNECTION: ReadonlySet<Phase> = new Set(['idle', 'asleep', 'waiting', 'closed']);
/** The events that concern one connection. */
type ConnectionEvent = Extract<NetworkEvent, { connection: number }>;

/** One worker's connection, again and again. */
export class Connection {
  /** Who it leads to. */
  readonly server: ServerIdentity;
  readonly #worker: WorkerIdentity;
  readonly #effects: Effects;
  readonly #reconnection: Reconnection;
  readonly #owner: ConnectionOwner;
  readonly #liveness = new Liveness();
  #phase: Phase = 'idle';
  /** When the phase ends by itself: the next attempt, or the end of patience. */
  #phaseDeadline = NEVER;
  #number = 0;
  readonly #connectCalls: ConnectCalls;
  #closeRequests: number[] = [];
  /** The server asked not to come back sooner. */
  #retryAfterMs = 0;
  /** No attempt is made before then. */
  #notBefore = 0;
  /** Why there is no connection. */
  #lastError: PsError | undefined;
  #closeError: PsError | undefined;

  constructor(worker: WorkerIdentity, effects: Effects, reconnection: Reconnection, owner: ConnectionOwner) {
    this.server = new ServerIdentity(worker.isMember ?? false);
    this.#worker = worker;
    this.#effects = effects;
    this.#reconnection = reconnection;
    this.#owner = owner;
    this.#connectCalls = new ConnectCalls(effects, worker.connectTimeoutMs);
  }

  get isOpen(): boolean {
    return this.#phase === 'open';
  }

  /** Whether the page sleeps: time stands still. */
  get isAsleep(): boolean {
    return this.#phase === 'asleep';
  }

  /** Whether the worker has ended, or is about to. */
  get hasEnded(): boolean {
    return this.#phase === 'closed' || this.#phase === 'closing';
  }

  /** What a request fails with once the worker has ended. */
  get endedError(): PsError {
    return closedError(this.#closeError);
  }

  /** Why there is no connection; undefined while there is one. */
  get unreachable(): string | undefined {
    return this.#phase === 'open' ? undefined : (this.#lastError?.message ?? 'no connection yet');
  }

  connect(request: number, now: number): void {
    if (this.#phase === 'open') {
      this.#effects.settle(request, undefined);
      return;
    }
    this.#connectCalls.add(request);
    if (this.#phase !== 'idle') return;
    this.#connectCalls.start(now);
    this.#reconnection.succeeded();
    this.#dial(now);
  }

  /** Gives up waiting for the connection. */
  cancel(request: number, error: PsError): void {
    if (!this.#connectCalls.cancel(request, error)) return;
    const isFirst = this.server.catalogue === undefined;
    if (isFirst && this.#connectCalls.isEmpty) this.#giveUp(error);
  }

  close(request: number, reason: string, error: PsError | undefined, now: number): void {
    if (this.#phase === 'closed') {
      this.#effects.settle(request, undefined);
      return;
    }
    this.#closeRequests.push(request);
    if (this.#phase === 'closing') return;
    this.#closeError = error;
    // The caller of a transfer gets its arrays back now: not a byte more of them may leave.
    const isCut = this.#owner.isTransferring();
    if (isCut) this.#effects.add({ kind: 'terminate' });
    if (isCut || this.#phase !== 'open') {
      this.#end(error);
      return;
    }
    this.#owner.onEnded(error);
    this.#effects.send({ t: MessageType.goodbye, reason });
    this.#effects.add({ kind: 'close', code: 1000, reason });
    this.#enter('closing', now + CLOSE_MS);
  }

  /** This process will not run for a while: ends the connection in good order. None is made before `wake`. */
  sleep(): void {
    if (this.#phase === 'idle' || this.#phase === 'asleep' || this.hasEnded) return;
    // A transfer can neither be finished now nor be interrupted by other messages.
    const isInOrder = this.#phase === 'open' && !this.#owner.isTransferring();
    if (isInOrder) this.#owner.onSleep();
    if (isInOrder) this.#effects.add({ kind: 'close', code: 1000, reason: 'asleep' });
    else if (this.#phase !== 'waiting') this.#effects.add({ kind: 'terminate' });
    this.#owner.onLost();
    this.#lastError = lostConnection('this page was put to sleep');
    this.#enter('asleep', NEVER);
  }

  /**
   * This process runs again, or its network is back: looks for a connection soon. Not at once, since what woke
   * this worker may have woken a thousand others.
   */
  wake(now: number): void {
    if (this.#phase === 'asleep') {
      this.#reconnection.succeeded();
      this.#lose(this.#lastError as PsError, false, now);
    } else if (this.#phase === 'waiting') {
      const promptAt = Math.max(this.#notBefore, now + this.#reconnection.promptDelayMs());
      this.#phaseDeadline = Math.min(this.#phaseDeadline, promptAt);
    } else if (this.#phase === 'open') {
      this.#liveness.probe(now, PROBE_MS);
      this.#effects.send({ t: MessageType.ping });
    }
  }

  /** The server will close the connection; the next one is not to be made within `retryAfterMs`. */
  drain(retryAfterMs: number, now: number): void {
    this.#retryAfterMs = retryAfterMs;
    this.#phaseDeadline = now + DRAIN_MS;
  }

  /** Something was sent. */
  sent(now: number): void {
    this.#liveness.sent(now);
  }

  /** Takes what the network says; what an earlier connection still says is passed over. */
  onEvent(event: ConnectionEvent, now: number): void {
    if (WITHOUT_CONNECTION.has(this.#phase) || event.connection !== this.#number) return;
    if (event.kind === 'opened') this.#onOpened();
    else if (event.kind === 'message') this.#onMessage(event.message, event.payload, now);
    else if (event.kind === 'closed') this.#onClosed(event, now);
    else if (event.kind === 'progress') this.#liveness.heard(now);
    else if (this.#phase !== 'closing') this.#reject(event.error, now);
  }

  /** When `onTick` is due. */
  get dueAt(): number {
    const due = Math.min(this.#phaseDeadline, this.#connectCalls.deadline, this.#reconnection.deadline);
    return this.#phase === 'open' ? Math.min(due, this.#liveness.pingAt, this.#liveness.deadAt) : due;
  }

  onTick(now: number): void {
    const isOpen = this.#phase === 'open';
    if (now >= this.#connectCalls.deadline) this.#giveUp(this.#connectCalls.timeoutError(this.#lastError));
    else if (now >= this.#reconnection.deadline) this.#endOffline('for too long');
    else if (isOpen && now >= this.#liveness.deadAt)
      this.#abandon(lostConnection('nothing was heard in time'), now);
    else if (now >= this.#phaseDeadline) this.#onPhaseEnd(now);
    else if (isOpen && now >= this.#liveness.pingAt) this.#effects.send({ t: MessageType.ping });
  }

  #onPhaseEnd(now: number): void {
    if (this.#phase === 'waiting') {
      this.#dial(now);
    } else if (this.#phase === 'closing') {
      this.#effects.add({ kind: 'terminate' });
      this.#end(this.#closeError);
    } else if (this.#phase === 'open') {
      this.#abandon(lostConnection('the server announced its end and did not close'), now);
    } else {
      this.#abandon(new PsError('PS_CONNECT_FAILED', `no answer within ${ATTEMPT_MS} ms`), now);
    }
  }

  #enter(phase: Phase, deadline: number): void {
    this.#phase = phase;
    this.#phaseDeadline = deadline;
  }

  #dial(now: number): void {
    this.#number++;
    this.#enter('dialing', now + ATTEMPT_MS);
    this.#effects.observe({ kind: 'connecting', attempt: this.#reconnection.attempts + 1 });
    this.#effects.add({ kind: 'connect', connection: this.#number });
  }

  #onOpened(): void {
    if (this.#phase !== 'dialing') return;
    this.#phase = 'greeting';
    this.#effects.send(helloOf(this.#worker, this.server.lineage));
  }

  #onMessage(message: Message, payload: Uint8Array, now: number): void {
    this.#liveness.heard(now);
    if (this.#phase === 'closing') return;
    try {
      if (message.t === MessageType.fault && message.request === undefined && message.seq === undefined) {
        const error = errorOfFault(message);
        this.#hangUp(1000, '');
        this.#lose(error, !error.retryable, now, error.details.retryAfterMs);
      } else if (this.#phase === 'open') {
        // Only a connection that is of use makes the next loss begin with the smallest delay.
        this.#reconnection.succeeded();
        this.#owner.onMessage(message, payload, now);
      } else if (this.#phase === 'greeting' && message.t === MessageType.welcome) {
        this.#onWelcome(message, payload, now);
      } else {
        throw unexpected('something before Welcome');
      }
    } catch (error) {
      if (!(error instanceof PsError) || error.code === 'PS_INTERNAL') throw error;
      this.#reject(error, now);
    }
  }

  #onWelcome(welcome: Welcome, payload: Uint8Array, now: number): void {
    const whole = this.server.check(welcome, payload);
    const { lineage } = this.server;
    this.server.adopt(welcome, whole);
    this.#enter('open', NEVER);
    this.#connectCalls.stop();
    this.#lastError = undefined;
    this.#reconnection.opened();
    this.#liveness.start(now, welcome.pingMs, welcome.leaseMs);
    this.#owner.onOpen(welcome, lineage);
    this.#connectCalls.settleAll();
  }

  /** The server sent what it may not send, or is not the right one. */
  #reject(error: PsError, now: number): void {
    this.#hangUp(1008, error.message);
    this.#lose(error, error.code === 'PS_VERSION' || error.code === 'PS_MODEL_MISMATCH', now);
  }

  /** Ends a connection on which nothing is to be said any more; as in `close`, not a byte more of a transfer may leave. */
  #hangUp(code: number, reason: string): void {
    this.#effects.add(this.#owner.isTransferring() ? { kind: 'terminate' } : { kind: 'close', code, reason });
  }

  #abandon(error: PsError, now: number): void {
    this.#effects.add({ kind: 'terminate' });
    this.#lose(error, false, now);
  }

  #onClosed(event: { code: number; reason: string; cause?: unknown }, now: number): void {
    if (this.#phase === 'closing') {
      this.#end(this.#closeError);
      return;
    }
    const { code, reason, cause } = event;
    // The shell found that no attempt can succeed, for instance with a url that is none.
    if (cause instanceof PsError && !cause.retryable) this.#lose(cause, true, now);
    else this.#lose(errorOfClose(code, reason, this.#phase === 'open', cause), isFatalClose(code), now);
  }

  #lose(error: PsError, isFinal: boolean, now: number, withinMs?: number): void {
    this.#owner.onLost();
    this.#lastError = error;
    this.#enter('waiting', NEVER);
    if (isFinal) {
      this.#end(error);
      return;
    }
    this.#reconnection.lost(now, error);
    const delayMs = this.#reconnection.nextDelayMs(this.#retryAfterMs, withinMs);
    this.#notBefore = now + this.#retryAfterMs;
    this.#retryAfterMs = 0;
    if (delayMs === undefined) {
      this.#endOffline('no attempt is left');
      return;
    }
    this.#phaseDeadline = now + delayMs;
    this.#effects.observe({ kind: 'reconnecting', attempt: this.#reconnection.attempts, delayMs, error });
  }

  #endOffline(why: string): void {
    const cause = this.#lastError;
    if (this.server.catalogue === undefined && cause !== undefined) {
      this.#giveUp(cause);
      return;
    }
    const text = `the connection was lost and not made again (${why}): ${cause?.message ?? 'no answer'}`;
    this.#end(new PsError('PS_CONNECTION_LOST', text, { cause }));
  }

  /** The first connection did not come about; the caller may try again. */
  #giveUp(error: PsError): void {
    this.#stopDialing();
    this.#enter('idle', NEVER);
    this.#connectCalls.failAll(error);
  }

  #end(error: PsError | undefined): void {
    this.#stopDialing();
    this.#enter('closed', NEVER);
    this.#closeError = error;
    this.#owner.onEnded(error);
    if (!this.#connectCalls.isEmpty) this.#connectCalls.failAll(this.endedError);
    this.#effects.observe({ kind: 'closed', error });
    for (const request of this.#closeRequests.splice(0)) this.#effects.settle(request, undefined);
  }

  #stopDialing(): void {
    if (this.#phase === 'dialing' || this.#phase === 'greeting') this.#effects.add({ kind: 'terminate' });
    this.#connectCalls.stop();
    this.#reconnection.opened();
  }
}
