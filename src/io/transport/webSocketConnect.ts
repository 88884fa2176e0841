/**
 * Opens a worker's connection with a standard WebSocket constructor: a browser's, another runtime's,
 * or one that the user gives. Such a socket can neither set headers (the token travels as a
 * subprotocol), nor stop reading (frames are kept meanwhile), nor say when the system has taken a
 * message (`bufferedAmount` is asked until it has).
 */
import { SUBPROTOCOL } from '../../core/protocol/messages.js';
import { truncateReason } from './closeReason.js';
import { FrameGate } from './frameGate.js';
import type { Connect, Transport, TransportHandlers } from './transport.js';
import { Turns } from './turns.js';

/** What pslib uses of a standard WebSocket. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** A constructor of standard WebSockets, such as the browser's `WebSocket`. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

const OPEN = 1;

/** A `Connect` that makes its sockets with `WebSocket`. `refusal`: what to say of one that fails without a reason. */
export function webSocketConnect(
  WebSocket: WebSocketConstructor,
  refusal: string = 'the connection was refused',
): Connect {
  return (url, options, handlers) => {
    const protocols = [SUBPROTOCOL];
    if (options.token !== undefined) protocols.push(`pslib.bearer.${base64url(options.token)}`);
    const socket = new WebSocket(url, protocols);
    socket.binaryType = 'arraybuffer';
    let transport: WebSocketTransport | undefined;
    socket.onopen = () => {
      transport = new WebSocketTransport(socket, handlers);
      handlers.onOpen(transport);
    };
    socket.onerror = () => {};
    socket.onclose = (event: { code: number; reason: string }) => {
      if (transport !== undefined) transport.onClose(event.code, event.reason);
      else handlers.onClose(event.code, event.reason || refusal);
    };
    socket.onmessage = (event: { data: unknown }) => transport?.onMessage(event.data);
    return {
      abort() {
        silence(socket);
        socket.close();
      },
    };
  };
}

/** After so many bytes young objects are made, about 2 MB of them. */
const RELEASED_BYTES = 67_108_864;
const YOUNG_ARRAYS = 64;
const YOUNG_LENGTH = 4096;

class WebSocketTransport implements Transport {
  readonly #socket: WebSocketLike;
  readonly #handlers: TransportHandlers;
  readonly #messages: FrameGate<unknown>;
  #isClosed = false;
  #sentBytes = 0;
  #releasedBytes = 0;
  /** Sends that are not known to be taken: [bytes sent up to their end, callback]. */
  #untaken: [end: number, whenTaken: () => void][] = [];
  readonly #turns = new Turns(() => this.#isAllTaken());

  constructor(socket: WebSocketLike, handlers: TransportHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#messages = new FrameGate((data) => this.#deliver(data));
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Uint8Array, whenTaken?: () => void): void {
    const isOpen = this.#socket.readyState === OPEN && !this.#isClosed;
    if (isOpen) {
      this.#socket.send(frame as Uint8Array<ArrayBuffer>);
      this.#sentBytes += frame.length;
    }
    if (whenTaken === undefined) return;
    if (isOpen) {
      this.#untaken.push([this.#sentBytes, whenTaken]);
      this.#turns.begin();
    } else {
      queueMicrotask(whenTaken);
    }
  }

  /**
   * A browser frees the memory of messages when it collects young objects, and it does so by how many objects there are,
   * not by what hangs on them: of 3 GB that were pulled, 0.7 waited. So there are some more objects now and then.
   */
  release({ byteLength }: Uint8Array): void {
    this.#releasedBytes += byteLength;
    if (this.#releasedBytes < RELEASED_BYTES) return;
    this.#releasedBytes = 0;
    for (let i = 0; i < YOUNG_ARRAYS; i++) new Array<number>(YOUNG_LENGTH).fill(i);
  }

  pause(): void {
    this.#messages.pause();
  }

  resume(): void {
    this.#messages.resume();
  }

  close(code: number, reason: string): void {
    // A page may give only 1000 and the codes of applications.
    this.#socket.close(code >= 3000 && code <= 4999 ? code : 1000, truncateReason(reason));
  }

  terminate(): void {
    if (this.#isClosed) return;
    silence(this.#socket);
    this.#socket.close();
    queueMicrotask(() => this.onClose(1006, 'terminated'));
  }

  onMessage(data: unknown): void {
    if (!this.#isClosed) this.#messages.push(data);
  }

  #deliver(data: unknown): void {
    if (data instanceof ArrayBuffer) this.#handlers.onFrame(new Uint8Array(data));
    else if (ArrayBuffer.isView(data)) this.#handlers.onFrame(bytesOfView(data));
    else this.#handlers.onText();
  }

  onClose(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#messages.clear();
    this.#turns.close();
    for (const [, whenTaken] of this.#untaken.splice(0)) whenTaken();
    this.#handlers.onClose(code, reason);
  }

  /** Calls back for what has been taken; whether that is everything. */
  #isAllTaken(): boolean {
    const taken = this.#sentBytes - this.#socket.bufferedAmount;
    const count = this.#untaken.findIndex(([end]) => end > taken);
    const done = this.#untaken.splice(0, count < 0 ? this.#untaken.length : count);
    for (const [, whenTaken] of done) whenTaken();
    return this.#untaken.length === 0;
  }
}

/** No event of `socket` is heard any more. */
function silence(socket: WebSocketLike): void {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
  socket.onerror = () => {};
}

function bytesOfView({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
