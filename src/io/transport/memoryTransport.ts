/**
 * Two transports joined in memory, for tests and for workers in the server's own process: frames
 * cross as bytes, copied, in later microtasks, never within the call that sends them. There is no
 * window: what is not taken by the other end waits without bound.
 */
import type { Connect, ConnectOptions, Transport, TransportHandlers } from './transport.js';

/** The server's side of a connection attempt: handlers for an accepted one, or its refusal. */
export type MemoryAccept = (
  transport: Transport,
  url: string,
  options: ConnectOptions,
) => TransportHandlers | { readonly code: number; readonly reason: string };

/** A `Connect` that reaches `accept` in the same process. */
export function memoryConnect(accept: MemoryAccept): Connect {
  return (url, options, handlers) => {
    let isAborted = false;
    queueMicrotask(() => {
      if (isAborted) return;
      const near = new MemoryTransport();
      const far = new MemoryTransport();
      near.join(far);
      far.join(near);
      const accepted = accept(far, url, options);
      if ('code' in accepted) {
        handlers.onClose(accepted.code, accepted.reason);
        return;
      }
      far.attach(accepted);
      near.attach(handlers);
      handlers.onOpen(near);
    });
    return {
      abort() {
        isAborted = true;
      },
    };
  };
}

class MemoryTransport implements Transport {
  #other: MemoryTransport | undefined;
  #handlers: TransportHandlers | undefined;
  #isPaused = false;
  #isClosed = false;
  #isRunning = false;
  /** What has arrived and was not handed over: frames in order, the end last. */
  #arrived: (() => void)[] = [];
  #bufferedBytes = 0;
  #untaken: (() => void)[] = [];

  join(other: MemoryTransport): void {
    this.#other = other;
  }

  attach(handlers: TransportHandlers): void {
    this.#handlers = handlers;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(frame: Uint8Array, whenTaken: () => void = () => {}): void {
    if (this.#isClosed) {
      queueMicrotask(whenTaken);
      return;
    }
    const copy = frame.slice();
    this.#bufferedBytes += copy.length;
    this.#untaken.push(whenTaken);
    this.#other?.arrive(() => {
      this.#take(copy.length);
      this.#other?.receive(copy);
    });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#run();
  }

  close(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#other?.arrive(() => {
      this.#other?.end(code, reason);
      this.end(code, reason);
    });
  }

  terminate(): void {
    this.#isClosed = true;
    const other = this.#other;
    queueMicrotask(() => {
      this.end(1006, 'terminated');
      other?.end(1006, 'terminated');
    });
  }

  /** Runs `step` after what has arrived before it, in a later microtask. */
  arrive(step: () => void): void {
    this.#arrived.push(step);
    this.#run();
  }

  receive(frame: Uint8Array): void {
    this.#handlers?.onFrame(frame);
  }

  /** The connection has ended: nothing more is handed over. */
  end(code: number, reason: string): void {
    const handlers = this.#handlers;
    this.#isClosed = true;
    this.#handlers = undefined;
    this.#arrived = [];
    this.#bufferedBytes = 0;
    for (const whenTaken of this.#untaken.splice(0)) whenTaken();
    handlers?.onClose(code, reason);
  }

  #take(bytes: number): void {
    if (this.#untaken.length === 0) return;
    this.#bufferedBytes -= bytes;
    this.#untaken.shift()?.();
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    queueMicrotask(() => {
      this.#isRunning = false;
      if (this.#isPaused) return;
      this.#arrived.shift()?.();
      if (this.#arrived.length > 0) this.#run();
    });
  }
}
