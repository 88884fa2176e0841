/**
 * The server's logic as a function of events: `step(event)` returns the effects to carry out. It owns
 * the parts and routes between them; the rules stand in the parts.
 *
 *     connected, message ──▶ handshake ──▶ inbox (order per worker) ──▶ pulls
 *                                                              └─────▶ pushes ──▶ updates ──▶ state
 *     tick ──▶ membership, pulls        continue ──▶ updates        persisted ──▶ commits
 */
import { PsError } from '../base/errors.js';
import type { Consistency } from '../consistency/consistency.js';
import { WaitLedger } from '../consistency/waitLedger.js';
import type { WorkerMessage } from '../protocol/messages.js';
import type { PayloadPlace } from '../protocol/payloadPlace.js';
import type { DenseTable } from '../table/denseTable.js';
import type { Job } from '../table/job.js';
import type { TableSet } from '../table/tableSet.js';
import { CommitLog } from './commits.js';
import type { ConnectionStatus } from './connection.js';
import type { CoreContext, ServerCoreOptions } from './context.js';
import { Dispatcher } from './dispatcher.js';
import type { ServerEffect, ServerEvent } from './events.js';
import type { Session } from './session.js';
import { ServerState } from './state.js';
import type { UpdateQueue } from './updates.js';

/** What a server core is made of. */
export interface ServerCoreParts {
  readonly options: ServerCoreOptions;
  readonly table: DenseTable;
  /** Default none. */
  readonly tables?: TableSet;
  readonly consistency: Consistency;
  readonly allocate: (length: number) => Float32Array;
  /** Gets arrays of `allocate` that are needed no more. */
  readonly release?: (array: Float32Array) => void;
  /** Measures how long updates take; see `CoreContext.stopwatch`. Default: it stands still. */
  readonly stopwatch?: () => number;
}

/** The server of one shard, without sockets, timers and files. */
export class ServerCore {
  readonly state: ServerState;
  readonly #context: CoreContext;
  readonly #dispatcher: Dispatcher;
  readonly #updates: UpdateQueue;
  #effects: ServerEffect[] = [];
  #lastStream = 0;
  #minClock = 0;

  constructor(parts: ServerCoreParts) {
    const { options, table, tables, consistency, allocate, release, stopwatch = () => 0 } = parts;
    this.state = new ServerState(table, consistency, allocate, release, tables);
    const commits = new CommitLog(options.isDurable, (number, record) =>
      this.#effects.push({ kind: 'persist', number, record }),
    );
    this.#context = {
      options,
      state: this.state,
      commits,
      now: 0,
      mayLackSessionsUntil: Number.NEGATIVE_INFINITY,
      firstVersion: 0,
      isDirty: false,
      waits: this.#waits(),
      stopwatch,
      nextStream: () => ++this.#lastStream,
      emit: (effect) => this.#effects.push(effect),
      observe: (observation) => this.#effects.push({ kind: 'observe', observation }),
    };
    this.state.onFailure = (cause) => {
      const error = new PsError('PS_INTERNAL', `the user's code failed: ${String(cause)}`, { cause });
      this.#context.observe({ kind: 'error', error });
    };
    this.#dispatcher = new Dispatcher(this.#context, allocate, release);
    this.#updates = this.#dispatcher.updates;
  }

  /** Name of the state's history. */
  get lineage(): string {
    return this.#context.options.lineage;
  }

  /** Number of the last record. */
  get position(): number {
    return this.#context.commits.last;
  }

  /** Why nothing can be recorded any more; undefined while it can. */
  get failure(): PsError | undefined {
    return this.#context.commits.failure;
  }

  /** Records that are not committed. */
  get uncommittedRecords(): number {
    return this.#context.commits.pending;
  }

  /** Which part of the model this server holds. */
  get shard(): { readonly index: number; readonly count: number } {
    return this.#context.options.shard;
  }

  /** The parts that the shell may look at. */
  get view(): Pick<Dispatcher, 'membership' | 'pulls' | 'staging' | 'tasks' | 'isQuiet'> {
    return this.#dispatcher;
  }

  /** Milliseconds that pulls of others have waited for `session` until `now`; a wait for two is shared. */
  awaitedMs(session: Session, now: number): number {
    this.#context.now = Math.max(this.#context.now, now);
    const isTraining = this.state.clocks.has(session.id) && !session.isReader;
    const pending = isTraining ? this.#context.waits.pending(session.id, session.clock) : 0;
    return session.awaitedMs + pending;
  }

  /** Where a transport may write the payload of `message`, whose event follows. Changes nothing. */
  placeOf(connection: number, message: WorkerMessage, bytes: number): PayloadPlace | undefined {
    return this.#dispatcher.placeOf(connection, message, bytes);
  }

  /** A part of a message has come: who sends it lives, however long the whole may take. */
  onProgress(connection: number, now: number): void {
    this.#context.now = Math.max(this.#context.now, now);
    this.#dispatcher.onProgress(connection);
  }

  /** What is under way on a connection. */
  statusOf(connection: number): ConnectionStatus {
    return this.#dispatcher.statusOf(connection);
  }

  /** Handles one event. The effects are the caller's, to carry out in order. */
  step(event: ServerEvent): readonly ServerEffect[] {
    this.#context.now = event.now;
    this.#handle(event);
    return this.#settle();
  }

  /**
   * Queues a change of the state by its owner (a setting, a snapshot, a load): `change` runs when all
   * updates before it are done, and returns the job that is left to do.
   */
  change(change: (context: CoreContext) => Job | undefined, now: number): readonly ServerEffect[] {
    this.#context.now = now;
    this.#updates.add(() => change(this.#context));
    return this.#settle();
  }

  /**
   * The state has been recovered up to record `position` of the history `lineage`. Everyone in it has one
   * full lease to come back. `mayLackRecords`: it may be older than what was acknowledged. REQUIRES: nothing
   * has happened before.
   */
  recovered(lineage: string, position: number, now: number, mayLackRecords = false): readonly ServerEffect[] {
    const { limits } = this.#context.options;
    for (const session of this.state.sessions.values()) session.isRecovered = true;
    if (mayLackRecords) this.#context.mayLackSessionsUntil = now + limits.sessionExpiryMs;
    this.#context.options.lineage = lineage;
    this.#context.firstVersion = this.state.version;
    this.#context.commits.restore(position);
    this.#minClock = this.state.clocks.minClock;
    return this.command((_context, { membership }) => membership.renewAll(), now);
  }

  /** Runs `action` with the core's context: for commands that need no turn in the queue. */
  command(
    action: (context: CoreContext, dispatcher: Dispatcher) => void,
    now: number,
  ): readonly ServerEffect[] {
    this.#context.now = now;
    action(this.#context, this.#dispatcher);
    return this.#settle();
  }

  /** When a `tick` is due at the latest. O(sessions). */
  nextTickAt(): number {
    return this.#dispatcher.nextTickAt();
  }

  #waits(): WaitLedger {
    const { clocks, sessions } = this.state;
    const charge = (id: string, milliseconds: number): void => {
      const session = sessions.get(id);
      if (session !== undefined) session.awaitedMs += milliseconds;
    };
    return new WaitLedger(clocks, () => this.#context.now, charge);
  }

  #handle(event: ServerEvent): void {
    switch (event.kind) {
      case 'connected':
        this.#dispatcher.onConnected(event.connection, event.principal);
        break;
      case 'message':
        this.#dispatcher.onMessage(event.connection, event.message, event.payload);
        break;
      case 'malformed':
        this.#dispatcher.onMalformed(event.connection, event.error);
        break;
      case 'closed':
        this.#dispatcher.onClosed(event.connection);
        break;
      case 'tick':
        this.#dispatcher.onTick();
        break;
      case 'continue':
        this.#updates.onContinue();
        break;
      case 'streamEnded':
        this.#dispatcher.onStreamEnded(event.stream);
        break;
      case 'persisted':
        this.#context.commits.onPersisted(event.upTo);
        break;
      case 'storageRoom':
        this.#context.commits.setRoom(event.bytes);
        break;
      case 'storageFailed':
        this.#dispatcher.onStorageFailed(event.error);
        break;
    }
  }

  /** Runs what has become possible, until nothing more does, within this turn. */
  #settle(): readonly ServerEffect[] {
    const context = this.#context;
    for (;;) {
      this.#updates.run();
      this.#dispatcher.drainInboxes();
      // Also set by the event itself: a worker that left may have been the one that others waited for.
      if (!context.isDirty) break;
      context.isDirty = false;
      this.#dispatcher.pulls.reconsider();
      this.#dispatcher.tasks.reconsider();
    }
    this.#dispatcher.announcements.tellStaleness();
    this.#observeClock();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #observeClock(): void {
    const { clocks } = this.state;
    const { minClock } = clocks;
    this.#dispatcher.metrics.flush(minClock, clocks.size === 0);
    if (minClock === this.#minClock) return;
    this.#minClock = minClock;
    this.#context.observe({ kind: 'clock', minClock });
  }
}
