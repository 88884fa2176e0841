/**
 * Reads of a raw socket into memory that its reader chooses before each read, instead of a fresh 64 KiB buffer
 * for each: those are garbage that V8 collects late, since they lie outside of its heap, and cold when they come.
 *
 * Node offers this for sockets that connect (`onread`), not for those that a server accepts or that come out of
 * an HTTP upgrade. So the socket's handle is given to a second `net.Socket`, which is made with `onread`. Where a
 * socket has no such handle (TLS, another runtime) its `data` events are taken. See `docs/decisions`.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Takes what is read. */
export interface SocketReader {
  /** Memory for the next read, not empty; it is written to until `filled` is called. */
  memory(): Uint8Array;
  /** The first `bytes` bytes of the last `memory()` have been written. */
  filled(bytes: number): void;
  /** The next bytes of the stream, in memory that is nobody else's. */
  feed(bytes: Uint8Array): void;
}

/** What `net.Socket` keeps of the system's socket. */
interface WithHandle {
  _handle: object | null;
}

/**
 * Starts reading `socket` into `reader`; returns the socket to use from now on. It ends with the given one, and the
 * given one with it.
 */
export function readInto(socket: Duplex, reader: SocketReader): Duplex {
  const given = withHandle(socket);
  if (given === undefined) {
    socket.on('data', (bytes: Buffer) => reader.feed(bytes));
    return socket;
  }
  const onread = {
    buffer: () => reader.memory(),
    callback: (bytes: number) => {
      reader.filled(bytes);
      return true;
    },
  };
  const own = new Socket({
    handle: given._handle,
    allowHalfOpen: true,
    onread,
  } as ConstructorParameters<typeof Socket>[0]) as Socket & WithHandle;
  endTogether(own, given);
  endTogether(given, own);
  return own;
}

/** When `first` has closed, the system's socket is gone: `second` has nothing left to close. */
function endTogether(first: Socket & WithHandle, second: Socket & WithHandle): void {
  first.once('close', () => {
    second._handle = null;
    second.destroy();
  });
}

function withHandle(socket: Duplex): (Socket & WithHandle) | undefined {
  if (Object.getPrototypeOf(socket) !== Socket.prototype) return undefined;
  const handle = (socket as Socket & Partial<WithHandle>)._handle as
    | { readStart?: unknown; useUserBuffer?: unknown }
    | null
    | undefined;
  const isKnown = typeof handle?.readStart === 'function' && typeof handle.useUserBuffer === 'function';
  return isKnown ? (socket as Socket & WithHandle) : undefined;
}
