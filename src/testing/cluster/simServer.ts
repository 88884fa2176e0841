/**
 * The server of a simulated cluster: the production core with the production outbox, on a simulated
 * process and network. It does what `io/server/coreRunner.ts` does with sockets and timers, and can be
 * stopped, killed and started again.
 */
import { PsError } from '../../core/base/errors.js';
import type { Consistency } from '../../core/consistency/consistency.js';
import { decodeFrame } from '../../core/protocol/codec.js';
import { MessageType, type WorkerMessage } from '../../core/protocol/messages.js';
import type { ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import { JobThen } from '../../core/table/job.js';
import { Outbox } from '../../io/transport/outbox.js';
import type { Transport, TransportHandlers } from '../../io/transport/transport.js';
import type { Listener, Network } from '../network/network.js';
import { SimProcess } from '../network/simProcess.js';
import type { Timeline } from '../network/timeline.js';
import { DataSetOwner, type SimDataSet } from './dataSetOwner.js';
import type { ClusterObserver } from './observer.js';
import { ServerDrain } from './serverDrain.js';
import type { ServerStore, StoreHost } from './serverStore.js';
import { newSimCore, type SimCoreOptions } from './simCore.js';

/** Time-outs are looked at in steps of this, as in production. */
const TICK_MS = 50;
/** Its last messages have left after this. */
const FAREWELL_MS = 5;

/** What a simulated server is. */
export interface SimServerOptions extends SimCoreOptions {
  /** Transfers to one connection that the line has not taken: about so many bytes at a time. */
  readonly windowBytes: number;
  /** Delay of a `continue` event, in milliseconds. */
  readonly continueMs: number;
  /** What it hands out to workers. */
  readonly data?: SimDataSet | undefined;
}

interface ServerLink {
  readonly transport: Transport;
  readonly outbox: Outbox;
}

/** A server with all its lives. */
export class SimServer implements Listener {
  readonly #timeline: Timeline;
  readonly #network: Network;
  readonly #options: SimServerOptions;
  readonly #store: ServerStore;
  readonly #observer: Required<ClusterObserver>;
  readonly #links = new Map<number, ServerLink>();
  readonly #queue: [event: ServerEvent | undefined, action: (core: ServerCore) => readonly ServerEffect[]][] =
    [];
  #isRunning = false;
  #core: ServerCore | undefined;
  #process: SimProcess | undefined;
  #isListening = false;
  #hasLostPower = false;
  #hasEndedWell = false;
  #drain: ServerDrain | undefined;
  #data: DataSetOwner | undefined;
  #lives = 0;
  #histories = 0;
  #nextConnection = 1;

  constructor(
    timeline: Timeline,
    network: Network,
    options: SimServerOptions,
    store: ServerStore,
    observer: Required<ClusterObserver>,
  ) {
    this.#timeline = timeline;
    this.#network = network;
    this.#options = options;
    this.#store = store;
    this.#observer = observer;
  }

  /** The process of the present life; undefined while it is dead. */
  get process(): SimProcess | undefined {
    return this.#process;
  }

  get listening(): SimProcess | undefined {
    return this.#isListening ? this.#process : undefined;
  }

  /** The core of the present life, or of the last one. */
  get core(): ServerCore {
    return this.#core as ServerCore;
  }

  /** How often it has been started. */
  get lives(): number {
    return this.#lives;
  }

  /** Which history its state belongs to: counts the starts without a state. */
  get history(): number {
    return this.#histories;
  }

  /** Whether power was lost since the state was last recovered. */
  get hasLostPower(): boolean {
    return this.#hasLostPower;
  }

  /** Whether the last life ended with everything written. */
  get hasEndedWell(): boolean {
    return this.#hasEndedWell;
  }

  /** Starts a life, with the state that the store has; it listens when that is recovered. */
  start(): void {
    this.#lives++;
    if (!this.#store.hasState) this.#histories++;
    const process = new SimProcess('server', this.#timeline, 1_000 * this.#lives);
    const core = this.makeCore();
    this.#process = process;
    this.#core = core;
    const note = (text: string): void => this.#observer.note('server', text);
    note(this.#lives === 1 ? 'starts' : `starts again, life ${this.#lives}`);
    let isSeen = false;
    const see = (): void => {
      if (!isSeen) this.#observer.serverStarted();
      isSeen = true;
      this.#hasLostPower = false;
      this.#hasEndedWell = false;
    };
    const run: StoreHost['run'] = (action) => {
      see();
      this.#run(undefined, action);
    };
    this.#store.open(core, { process, run, note }, () => {
      see();
      this.#isListening = true;
      const { data } = this.#options;
      this.#data = data && new DataSetOwner(data, process, (action) => this.#command(process, action));
      this.#data?.begin();
      this.#tick(process);
    });
  }

  /** A core without a state. */
  makeCore(): ServerCore {
    return newSimCore(this.#options, {
      isDurable: this.#store.isDurable,
      incarnation: `life-${this.#lives}`,
      lineage: `history-${this.#histories}`,
    });
  }

  /** Ends the life at once. `isMachineDead`: nobody is told. */
  kill(isMachineDead: boolean): void {
    const process = this.#process;
    if (process === undefined) return;
    this.#observer.note('server', isMachineDead ? 'loses power' : 'is killed');
    this.#end(process, isMachineDead);
  }

  #end(process: SimProcess, isMachineDead: boolean): void {
    process.kill();
    this.#hasLostPower ||= isMachineDead;
    this.#process = undefined;
    this.#isListening = false;
    this.#drain = undefined;
    this.#data = undefined;
    this.#network.died(process, isMachineDead);
    this.#links.clear();
    this.#queue.length = 0;
    this.#store.crashed(isMachineDead);
  }

  /** Changes the consistency model, as `ParameterServer.setConsistency` does, if it is there to be told. */
  setConsistency(model: Consistency): void {
    const process = this.#process;
    if (process === undefined || !this.#isListening) return;
    process.run(() => {
      this.#observer.note('server', `changes to ${model.name}`);
      this.#run(undefined, (core) =>
        core.change(({ state, commits }) => {
          const record = { kind: 'consistency', model, rates: state.table.ratesNow(1) } as const;
          return new JobThen(state.apply(record, process.now), () => commits.append(record));
        }, process.now),
      );
    });
  }

  /** Ends the life as `ParameterServer.drain` and `close` do: pushes under way are finished, and everyone is told. */
  drain(retryAfterMs: number): void {
    const process = this.#process;
    if (process === undefined || !this.#isListening || this.#drain !== undefined) return;
    process.run(() => {
      this.#observer.note('server', 'drains');
      this.#drain = new ServerDrain(process, retryAfterMs, {
        isQuiet: () => this.core.view.isQuiet,
        command: (action) => this.#command(process, action),
        onOver: () => this.#close(process),
      });
      this.#drain.begin();
    });
  }

  #close(process: SimProcess): void {
    this.#store.close(() =>
      process.after(FAREWELL_MS, () => {
        this.#observer.note('server', 'ends');
        this.#hasEndedWell = true;
        this.#end(process, false);
      }),
    );
  }

  accept(transport: Transport): TransportHandlers {
    const connection = this.#nextConnection++;
    const process = this.#process as SimProcess;
    const outbox = new Outbox(transport, this.#options.windowBytes, (stream) =>
      this.#dispatch({ kind: 'streamEnded', stream, now: process.now }),
    );
    this.#links.set(connection, { transport, outbox });
    this.#dispatch({ kind: 'connected', connection, principal: { role: 'worker' }, now: process.now });
    return {
      onFrame: (frame) => this.#onFrame(connection, process, frame),
      onText: () => {},
      onClose: () => this.#onClose(connection, process),
    };
  }

  #tick(process: SimProcess): void {
    process.after(TICK_MS, () => {
      this.#dispatch({ kind: 'tick', now: process.now });
      this.#store.onTick(process.now);
      this.#tick(process);
    });
  }

  #onFrame(connection: number, process: SimProcess, frame: Uint8Array): void {
    const { now } = process;
    let message: WorkerMessage;
    let payload: Uint8Array;
    try {
      const decoded = decodeFrame(frame);
      if (decoded.message.t >= MessageType.welcome)
        throw new PsError('PS_PROTOCOL', 'this is a message of servers');
      message = decoded.message as WorkerMessage;
      payload = decoded.payload;
    } catch (error) {
      this.#dispatch({ kind: 'malformed', connection, error: error as PsError, now });
      return;
    }
    this.#observer.serverReceives(connection, message, payload);
    this.#dispatch({ kind: 'message', connection, message, payload, now });
  }

  #onClose(connection: number, process: SimProcess): void {
    const link = this.#links.get(connection);
    if (link === undefined) return;
    this.#links.delete(connection);
    this.#dispatch({ kind: 'closed', connection, now: process.now });
    link.outbox.close();
  }

  #dispatch(event: ServerEvent): void {
    this.#run(event, (core) => core.step(event));
  }

  #command(process: SimProcess, action: Parameters<ServerCore['command']>[0]): void {
    this.#run(undefined, (core) => core.command(action, process.now));
  }

  #run(event: ServerEvent | undefined, action: (core: ServerCore) => readonly ServerEffect[]): void {
    this.#queue.push([event, action]);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const effects = next[1](this.core);
        this.#observer.serverStepped(next[0], effects);
        for (const effect of effects) this.#carryOut(effect);
        this.#data?.look(effects);
      }
    } finally {
      this.#isRunning = false;
    }
    this.#store.flush();
    this.#drain?.look();
  }

  #carryOut(effect: ServerEffect): void {
    const process = this.#process as SimProcess;
    switch (effect.kind) {
      case 'send':
        this.#links.get(effect.connection)?.outbox.send(effect.message, effect.payload);
        break;
      case 'stream': {
        const link = this.#links.get(effect.connection);
        if (link !== undefined) link.outbox.stream(effect.stream);
        else this.#dispatch({ kind: 'streamEnded', stream: effect.stream.id, now: process.now });
        break;
      }
      case 'close':
        this.#links.get(effect.connection)?.transport.close(effect.code, effect.reason);
        break;
      case 'pause':
        this.#links.get(effect.connection)?.transport.pause();
        break;
      case 'resume':
        this.#links.get(effect.connection)?.transport.resume();
        break;
      case 'continue':
        process.after(this.#options.continueMs, () => this.#dispatch({ kind: 'continue', now: process.now }));
        break;
      case 'persist':
        this.#store.append(effect.number, effect.record);
        break;
      case 'observe':
      case 'ask':
        break;
    }
  }
}
