/**
 * A worker as a test plays it: it sends what it is told to, right or wrong, and writes down what it is
 * told. It follows the clock and the version in the answers, so that a test names them only where they
 * matter. It resends nothing by itself.
 */
import { codeOfWire } from '../../../src/core/base/errors.js';
import { decodeFrame, encodeFrame } from '../../../src/core/protocol/codec.js';
import {
  type Message,
  MessageType,
  PROTOCOL_VERSION,
  type Pull,
  type Push,
} from '../../../src/core/protocol/messages.js';
import type { OutgoingStream } from '../../../src/core/protocol/outgoingStream.js';
import type { Welcome } from '../../../src/core/protocol/sessionMessages.js';
import type { VersionStamp } from '../../../src/core/protocol/versionStamp.js';
import type { Principal, ServerEvent } from '../../../src/core/server/events.js';

/** How a fake worker differs from an ordinary one. */
export interface FakeWorkerOptions {
  /** The secret of its session; default its id. Another one is another process. */
  readonly key?: string;
  readonly readOnly?: boolean;
  readonly principal?: Principal;
  /** The lineage that its Hello names. */
  readonly lineage?: string;
  /** What its Hello says that it takes; default nothing. */
  readonly takes?: readonly number[];
}

/** What may differ from an ordinary push. */
export interface PushDetails extends Partial<Omit<Push, 't' | 'version' | 'tick'>> {
  readonly version?: number | VersionStamp | undefined;
  /** True: ride the next tick. */
  readonly tick?: boolean | number;
  /** Elements of one chunk; default all in one. */
  readonly chunk?: number;
  /** Send only so many chunks. */
  readonly only?: number;
}

/** A pull that is being answered. */
interface Arriving {
  readonly bytes: number;
  readonly versions: number[];
  readonly values: number[];
}

/** What a fake worker needs of the server under test. */
interface ServerEnd {
  readonly now: number;
  open(worker: FakeWorker, principal: Principal): number;
  step(event: ServerEvent): unknown;
  receive(connection: number, frame: Uint8Array): void;
  endStream(id: number): void;
}

/** One fake worker; it may have had several connections. */
export class FakeWorker {
  readonly id: string;
  readonly server: ServerEnd;
  /** What it has been told since the last `lines()`. */
  readonly #told: string[] = [];
  readonly #options: FakeWorkerOptions;
  connection = 0;
  clock = 0;
  seq = 0;
  welcome: Welcome | undefined;
  /** The version that the last complete pull brought. */
  pulled: VersionStamp | undefined;
  /** False: streams stand still until `read`. */
  isReading = true;
  isPaused = false;
  isOpen = false;
  readonly #streams: OutgoingStream[] = [];
  readonly #arriving = new Map<number, Arriving>();
  /** Frames that wait while it is paused. */
  readonly #unsent: Uint8Array[] = [];
  #request = 0;

  constructor(server: ServerEnd, id: string, options: FakeWorkerOptions) {
    this.server = server;
    this.id = id;
    this.#options = options;
  }

  /** The number of its next request. */
  get nextRequest(): number {
    return this.#request + 1;
  }

  /** What it has been told since the last call. */
  lines(): string[] {
    return this.#told.splice(0);
  }

  connect(): void {
    this.isOpen = true;
    this.connection = this.server.open(this, this.#options.principal ?? { role: 'worker' });
  }

  /** Its socket is lost without goodbye. */
  drop(): void {
    const { connection } = this;
    this.#forget();
    this.server.step({ kind: 'closed', connection, now: this.server.now });
    this.#endStreams();
  }

  /** A new connection for the same session. */
  reconnect(): void {
    this.#forget();
    this.connect();
    this.hello();
  }

  hello(change: { protocol?: number; session?: string; lineage?: string } = {}): void {
    const lineage = change.lineage ?? this.#options.lineage ?? this.welcome?.lineage;
    this.send({
      t: MessageType.hello,
      protocol: change.protocol ?? PROTOCOL_VERSION,
      worker: this.id,
      session: change.session ?? this.#options.key ?? this.id,
      readOnly: this.#options.readOnly ?? false,
      ...(lineage === undefined ? {} : { lineage }),
      ...(this.#options.takes === undefined ? {} : { takes: this.#options.takes }),
    });
  }

  goodbye(): void {
    this.send({ t: MessageType.goodbye, reason: '' });
  }

  ping(): void {
    this.send({ t: MessageType.ping });
  }

  computing(stepMs: number): void {
    this.send({ t: MessageType.computing, stepMs });
  }

  enter(): number {
    return this.#ask((request) => this.send({ t: MessageType.enter, request }));
  }

  leave(): number {
    return this.#ask((request) => this.send({ t: MessageType.leave, request }));
  }

  /** Ticks; default by one. */
  tick(clock: number = this.clock + 1): number {
    return this.#ask((request) => this.send({ t: MessageType.tick, request, clock }));
  }

  /** A training pull, unless the details say otherwise. */
  pull(details: Partial<Pull> = {}): number {
    return this.#ask((request) =>
      this.send({
        t: MessageType.pull,
        request,
        training: this.#options.readOnly !== true,
        clock: this.clock,
        wait: false,
        consistent: true,
        ...details,
      }),
    );
  }

  /** A pull outside training. */
  look(details: Partial<Pull> = {}): number {
    return this.pull({ training: false, ...details });
  }

  cancel(request: number): void {
    this.send({ t: MessageType.cancel, request });
  }

  /** A push of `values`, by default next in the sequence, in this clock, computed from the last pull. */
  push(values: readonly number[], details: PushDetails = {}): number {
    const {
      chunk = Math.max(1, values.length),
      only = Number.POSITIVE_INFINITY,
      tick,
      version,
      ...rest
    } = details;
    const seq = rest.seq ?? this.seq + 1;
    this.seq = Math.max(this.seq, seq);
    const stamp = typeof version === 'number' ? this.#stamp(version) : (version ?? this.pulled);
    const message: Push = {
      t: MessageType.push,
      clock: this.clock,
      bytes: values.length * 4,
      ...(stamp === undefined ? {} : { version: stamp }),
      ...(tick === undefined || tick === false ? {} : { tick: tick === true ? this.clock + 1 : tick }),
      ...rest,
      seq,
    };
    const payload = new Uint8Array(Float32Array.from(values).buffer);
    this.send(message, payload.subarray(0, chunk * 4));
    for (let i = 1; i * chunk < values.length && i < only; i++) {
      this.chunk(seq, i * chunk, values.slice(i * chunk, (i + 1) * chunk));
    }
    return seq;
  }

  /** The chunk of push `seq` that begins at element `at`. */
  chunk(seq: number, at: number, values: readonly number[]): void {
    const payload = new Uint8Array(Float32Array.from(values).buffer);
    this.send({ t: MessageType.pushChunk, seq, offset: at * 4 }, payload);
  }

  send(message: Message, payload?: Uint8Array): void {
    this.sendBytes(encodeFrame(message, payload));
  }

  sendBytes(frame: Uint8Array): void {
    if (this.isPaused) this.#unsent.push(frame);
    else this.server.receive(this.connection, frame);
  }

  /** What it has not read is taken out of the streams, at most `parts` messages. */
  read(parts: number = Number.POSITIVE_INFINITY): void {
    let left = parts;
    while (left > 0 && this.#streams.length > 0) {
      const stream = this.#streams[0] as OutgoingStream;
      const part = stream.next();
      if (part === undefined) {
        this.#streams.shift();
        this.server.endStream(stream.id);
        continue;
      }
      left--;
      this.receive(encodeFrame(part.message, part.payload));
    }
  }

  // What the server's effects do to it.

  receive(frame: Uint8Array): void {
    const { message, payload } = decodeFrame(frame);
    const line = this.#take(message, payload);
    if (line !== undefined) this.#told.push(line);
  }

  stream(stream: OutgoingStream): void {
    this.#streams.push(stream);
    if (this.isReading) this.read();
  }

  end(connection: number, code: number): void {
    this.#told.push(`closed ${code}`);
    this.server.step({ kind: 'closed', connection, now: this.server.now });
    if (connection !== this.connection) return;
    this.#forget();
    this.#endStreams();
  }

  pause(connection: number): void {
    if (connection === this.connection) this.isPaused = true;
  }

  resume(connection: number): void {
    if (connection !== this.connection) return;
    this.isPaused = false;
    for (const frame of this.#unsent.splice(0)) this.sendBytes(frame);
  }

  #ask(send: (request: number) => void): number {
    const request = ++this.#request;
    send(request);
    return request;
  }

  #stamp(version: number): VersionStamp {
    return { incarnation: this.welcome?.incarnation ?? '', version };
  }

  #forget(): void {
    this.isOpen = false;
    this.isPaused = false;
    this.#unsent.length = 0;
    this.#arriving.clear();
  }

  #endStreams(): void {
    for (const stream of this.#streams.splice(0)) this.server.endStream(stream.id);
  }

  #take(message: Message, payload: Uint8Array): string | undefined {
    switch (message.t) {
      case MessageType.welcome:
        this.welcome = message;
        this.clock = message.clock;
        return `welcome epoch ${message.epoch}, clock ${message.clock}, committed ${message.committedSeq}`;
      case MessageType.pong:
        return 'pong';
      case MessageType.finish:
        return `finish: ${message.reason}`;
      case MessageType.drain:
        return `drain: ${message.retryAfterMs} ms`;
      case MessageType.staleness:
        return `staleness ${message.staleness ?? 'without bound'}`;
      case MessageType.clockResult:
        this.clock = message.clock;
        return `clock ${message.clock}, min ${message.minClock}`;
      case MessageType.pushResult: {
        this.clock = message.clock;
        const delay = message.delay > 0 ? ` delay ${message.delay}` : '';
        const duplicate = message.duplicate ? ' again' : '';
        return `push ${message.seq} ${message.outcome}${duplicate} v${message.version}${delay}, clock ${message.clock}`;
      }
      case MessageType.pullResult:
        this.clock = message.clock;
        if (message.notModified) return `pull ${message.request}: not modified since v${message.version}`;
        this.#arriving.set(message.request, { bytes: message.bytes, versions: [], values: [] });
        return this.#takeValues(message.request, message.version, payload);
      case MessageType.pullChunk:
        return this.#takeValues(message.request, message.version, payload);
      case MessageType.waiting: {
        const laggards = message.laggards.map(([id, clock, ms]) => `${id}@${clock} ${ms} ms`).join(', ');
        return `pull ${message.request} waits: ${message.reason}${laggards === '' ? '' : ` ${laggards}`}`;
      }
      case MessageType.fault: {
        const { seq, request, expectedSeq, tensor, duplicate } = message;
        const subject =
          seq !== undefined ? `push ${seq} ` : request !== undefined ? `request ${request} ` : '';
        const expected = expectedSeq === undefined ? '' : ` expected ${expectedSeq}`;
        const named = tensor === undefined ? '' : ` "${tensor}"`;
        return `${subject}refused${duplicate ? ' again' : ''}: ${codeOfWire(message.code)}${named}${expected}`;
      }
      default:
        return `unexpected message ${message.t}`;
    }
  }

  #takeValues(request: number, version: number, payload: Uint8Array): string | undefined {
    const arriving = this.#arriving.get(request);
    if (arriving === undefined) return `chunk of nothing: ${request}`;
    arriving.values.push(...new Float32Array(payload.slice().buffer));
    arriving.versions.push(version);
    if (arriving.values.length * 4 < arriving.bytes) return undefined;
    this.#arriving.delete(request);
    const versions = [...new Set(arriving.versions)];
    this.pulled = this.#stamp(versions[0] as number);
    return `pull ${request}: v${versions.join('+')} [${arriving.values.join(' ')}]`;
  }
}
