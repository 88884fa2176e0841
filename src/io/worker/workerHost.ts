/**
 * Runs a worker core: opens its connections, feeds it what arrives and the passing of time, carries
 * out its effects in order within the turn, and keeps the promise behind each request. What effects
 * bring about meanwhile waits in a queue, so the core is never entered twice at once.
 */
import { PsError } from '../../core/base/errors.js';
import { decodeFrame } from '../../core/protocol/codec.js';
import { type Message, MessageType } from '../../core/protocol/messages.js';
import { RowBuffers } from '../../core/tensor/rowBuffers.js';
import type {
  NetworkEvent,
  RequestValue,
  WorkerCommand,
  WorkerEffect,
  WorkerEvent,
  WorkerObservation,
} from '../../core/worker/events.js';
import type { WorkerMachine } from '../../core/worker/workerMachine.js';
import { monotonicNow } from '../time.js';
import { Outbox } from '../transport/outbox.js';
import type { Connect, Transport } from '../transport/transport.js';
import { abortedError } from './abort.js';
import type { ServerUrls } from './serverUrls.js';

/** Transfers that the system has not taken: about so many bytes at a time. */
const WINDOW_BYTES = 4_194_304;
/** Longest delay of setTimeout. */
const MAX_TIMER_MS = 2_147_483_647;
/** How often parts of long messages are told of. */
const PROGRESS_MS = 500;

/** How a host opens connections. */
export interface Dialling {
  readonly connect: Connect;
  /** The url of a server, by its number, and how many there are. */
  readonly url: ServerUrls;
  readonly token: () => Promise<string | undefined>;
  readonly maxMessageBytes: number;
  readonly trustedNetwork: boolean;
  readonly tls: object | undefined;
}

/** A command without its number, which the host gives. */
export type Command = WorkerCommand extends infer C
  ? C extends WorkerCommand
    ? Omit<C, 'request'>
    : never
  : never;

/** A request under way. */
export interface Call<T> {
  readonly answer: Promise<T>;
  /** Gives it up: `answer` rejects with `error`, if it is not settled yet. */
  cancel(error: PsError): void;
}

interface Pending {
  resolve(value: RequestValue): void;
  reject(error: unknown): void;
}

/** Distributes over the union, unlike Omit. */
type Timeless<E> = E extends WorkerEvent ? Omit<E, 'now'> : never;

/** One attempt to connect, or the connection it became. */
interface Link {
  readonly server: number;
  readonly connection: number;
  isOver: boolean;
  abort: (() => void) | undefined;
  transport: Transport | undefined;
  outbox: Outbox | undefined;
  /** When the core was last told that a part of a message has come. */
  toldAt: number;
}

/** Drives one core. */
export class WorkerHost {
  /** Memory in which rows pass from one order to another. */
  readonly rowBuffers: RowBuffers = new RowBuffers();
  readonly #core: WorkerMachine;
  readonly #dialling: Dialling;
  readonly #observe: (observation: WorkerObservation) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #queue: WorkerEvent[] = [];
  #isStepping = false;
  #lastRequest = 0;
  #failure: PsError | undefined;
  /** The last one of each server. */
  readonly #links: Link[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** `observe` must not throw. */
  constructor(core: WorkerMachine, dialling: Dialling, observe: (observation: WorkerObservation) => void) {
    this.#core = core;
    this.#dialling = dialling;
    this.#observe = observe;
  }

  get core(): WorkerMachine {
    return this.#core;
  }

  /** Makes a request; `command` is the host's from now on. An abort of `signal` gives it up with `PS_ABORTED`. */
  call<T extends RequestValue>(command: Command, signal?: AbortSignal): Call<T> {
    if (signal?.aborted) return { answer: Promise.reject(abortedError(signal.reason)), cancel: () => {} };
    const request = ++this.#lastRequest;
    const cancel = (error: PsError) => this.#dispatch({ kind: 'cancel', request, error });
    const onAbort = () => cancel(abortedError(signal?.reason));
    const answer = new Promise<RequestValue>((resolve, reject) => {
      this.#pending.set(request, { resolve, reject });
      const numbered = command as Timeless<WorkerCommand & WorkerEvent> & { request: number };
      numbered.request = request;
      this.#dispatch(numbered);
    });
    if (signal !== undefined) {
      const forget = () => signal.removeEventListener('abort', onAbort);
      answer.then(forget, forget);
      signal.addEventListener('abort', onAbort);
    }
    return { answer: answer as Promise<T>, cancel };
  }

  /** This process is about to be stopped, or runs again; see the core's events. All is said before this returns. */
  tell(kind: 'sleep' | 'wake'): void {
    this.#dispatch({ kind });
  }

  /** `event` gets the time, in place: to copy each costs more than most steps of the core. */
  #dispatch(event: Timeless<WorkerEvent>): void {
    const timed = event as WorkerEvent & { now: number };
    timed.now = monotonicNow();
    this.#queue.push(timed);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#step(next);
      this.#arm();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isStepping = false;
    }
  }

  #step(event: WorkerEvent): void {
    if (this.#failure === undefined) {
      for (const effect of this.#core.step(event)) this.#carryOut(effect);
    } else if ('request' in event) {
      this.#take(event.request)?.reject(this.#failure);
    }
  }

  /** A bug of pslib's: this worker has ended, but nothing else is to be hurt. */
  #fail(cause: unknown): void {
    const error =
      cause instanceof PsError ? cause : new PsError('PS_INTERNAL', 'the worker failed', { cause });
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    for (const link of this.#links) this.#terminate(link);
    for (const request of [...this.#pending.keys()]) this.#take(request)?.reject(error);
    this.#observe({ kind: 'closed', error });
  }

  #carryOut(effect: WorkerEffect): void {
    switch (effect.kind) {
      case 'connect':
        void this.#open(effect.server ?? 0, effect.connection);
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
        this.#links[effect.server ?? 0]?.transport?.displace?.();
        break;
      case 'close':
        this.#links[effect.server ?? 0]?.transport?.close(effect.code, effect.reason);
        break;
      case 'terminate':
        this.#terminate(this.#links[effect.server ?? 0]);
        break;
      case 'settle':
        this.#settle(effect.request, effect.value);
        break;
      case 'fail':
        this.#take(effect.request)?.reject(effect.error);
        break;
      case 'observe':
        this.#observe(effect.observation);
        break;
    }
  }

  #whenTaken(effect: {
    whenTaken?: number | undefined;
    tellTaken?: number | undefined;
  }): (() => void) | undefined {
    const { whenTaken, tellTaken } = effect;
    if (whenTaken !== undefined) return () => this.#settle(whenTaken, undefined);
    if (tellTaken !== undefined) return () => this.#dispatch({ kind: 'taken', request: tellTaken });
    return undefined;
  }

  #settle(request: number, value: RequestValue): void {
    this.#take(request)?.resolve(value);
  }

  #take(request: number): Pending | undefined {
    const pending = this.#pending.get(request);
    this.#pending.delete(request);
    return pending;
  }

  /** Opens connection number `connection`. Never rejects: a failure is the core's `closed` event. */
  async #open(server: number, connection: number): Promise<void> {
    const link: Link = {
      server,
      connection,
      isOver: false,
      abort: undefined,
      transport: undefined,
      outbox: undefined,
      toldAt: 0,
    };
    this.#links[server] = link;
    try {
      const { connect, maxMessageBytes, trustedNetwork, tls } = this.#dialling;
      const [{ url, urls }, token] = await Promise.all([this.#dialling.url(server), this.#dialling.token()]);
      if (link.isOver) return;
      const attempt = connect(
        url,
        { token, maxMessageBytes, trustedNetwork, tls },
        {
          onOpen: (transport) => this.#onOpen(link, transport, urls),
          onFrame: (frame) => this.#onFrame(link, frame),
          onMessage: (message, payload) => this.#onMessage(link, message, payload),
          onMalformed: (error) => this.#onMalformed(link, error),
          onProgress: () => this.#onProgress(link),
          place: (message, bytes) => {
            const place = link.isOver ? undefined : this.#core.placeOf(message, bytes, server);
            return place === undefined ? undefined : { bytes: place };
          },
          onText: () => this.#onMalformed(link, new PsError('PS_PROTOCOL', 'the server sent text')),
          onClose: (code, reason, cause) => this.#onClose(link, code, reason, cause),
        },
      );
      link.abort = () => attempt.abort();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#onClose(link, 1006, reason, cause);
    }
  }

  #onOpen(link: Link, transport: Transport, urls: number): void {
    if (link.isOver) {
      transport.terminate();
      return;
    }
    link.transport = transport;
    const { server, connection } = link;
    link.outbox = new Outbox(transport, WINDOW_BYTES, (stream) =>
      this.#dispatch({ kind: 'streamEnded', server, stream }),
    );
    this.#tell(link, { kind: 'opened', connection, urls });
  }

  #onFrame(link: Link, frame: Uint8Array): void {
    if (link.isOver) return;
    let decoded: ReturnType<typeof decodeFrame>;
    try {
      decoded = decodeFrame(frame);
    } catch (error) {
      this.#onMalformed(link, error as PsError);
      return;
    }
    const { message, payload } = decoded;
    // What is pulled is copied to its place; of other messages somebody may keep views, as of those that are taken later.
    const isCopied = message.t === MessageType.pullResult || message.t === MessageType.pullChunk;
    const isNow = !this.#isStepping;
    this.#onMessage(link, message, payload);
    if (isCopied && isNow) link.transport?.release?.(frame);
  }

  #onMessage(link: Link, message: Message, payload: Uint8Array): void {
    const { server, connection } = link;
    if (!link.isOver) this.#dispatch({ kind: 'message', server, connection, message, payload });
  }

  /** Once in a while is enough: it is a sign of life. */
  #onProgress(link: Link): void {
    const now = monotonicNow();
    if (now - link.toldAt < PROGRESS_MS) return;
    link.toldAt = now;
    this.#tell(link, { kind: 'progress', connection: link.connection });
  }

  #onMalformed(link: Link, error: PsError): void {
    this.#tell(link, { kind: 'malformed', connection: link.connection, error });
  }

  #onClose(link: Link, code: number, reason: string, cause?: unknown): void {
    if (!link.isOver) this.#tell(link, { kind: 'closed', connection: link.connection, code, reason, cause });
    link.isOver = true;
    link.outbox?.close();
  }

  #tell(link: Link, event: NetworkEvent): void {
    if (!link.isOver) this.#dispatch({ ...event, server: link.server });
  }

  #terminate(link: Link | undefined): void {
    if (link === undefined) return;
    link.isOver = true;
    if (link.transport !== undefined) link.transport.terminate();
    else link.abort?.();
    link.outbox?.close();
  }

  /** Sees to it that the core is woken in time: a timer that is too early only looks again. */
  #arm(): void {
    const dueAt = this.#core.nextTickAt();
    if (this.#timerAt <= dueAt && dueAt !== Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#timerAt = dueAt;
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(MAX_TIMER_MS, Math.max(0, dueAt - monotonicNow()));
    this.#timer = setTimeout(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (monotonicNow() >= this.#core.nextTickAt()) this.#dispatch({ kind: 'tick' });
    else this.#arm();
  }
}
