/**
 * What a shell needs of a connection: whole frames in, whole frames out, back-pressure, and one
 * end. The WebSocket transports and the in-memory one implement it and are held to one conformance
 * suite; nothing else in pslib knows a socket.
 */
import type { PsError } from '../../core/base/errors.js';
import type { Message } from '../../core/protocol/messages.js';
import type { PayloadPlace } from '../../core/protocol/payloadPlace.js';

/** One open connection that carries frames. */
export interface Transport {
  /** Bytes handed to `send` that have not been taken by the system yet. */
  readonly bufferedBytes: number;
  /**
   * Sends one frame. `whenTaken` is called once, when the frame's memory is no longer needed or
   * the connection has ended; until then the bytes must not change.
   */
  send(frame: Uint8Array, whenTaken?: () => void): void;
  /**
   * Sends one message, written straight into memory of the transport's own; the same promise about
   * `whenTaken`, which may be called before this returns. `mayKeep`: the payload may be sent from where it is; else
   * it is copied before this returns. `more`: further pieces of the payload, which may be kept with the first. Only where a
   * transport can: others are given whole frames.
   */
  sendMessage?(
    message: Message,
    payload: Uint8Array | undefined,
    mayKeep: boolean,
    whenTaken?: () => void,
    more?: readonly Uint8Array[],
  ): void;
  /** What `place` named for the payload under way is no longer written to: that payload goes to memory of its own. */
  displace?(): void;
  /** Nothing of a frame that `onFrame` was given is needed any more. Only where such memory would be garbage for long. */
  release?(frame: Uint8Array): void;
  /** Stops `onFrame` until `resume`; what the system has buffered waits. */
  pause(): void;
  resume(): void;
  /** Ends the connection after what was sent; a second call does nothing. */
  close(code: number, reason: string): void;
  /** Ends it now. */
  terminate(): void;
}

/** What a transport tells its owner. `onClose` is called exactly once, and last. */
export interface TransportHandlers {
  /** A binary message. The bytes belong to the receiver from now on. */
  onFrame(frame: Uint8Array): void;
  /** A text message: never valid in this protocol. */
  onText(): void;
  /** A ping or pong of WebSocket's own has come: bytes that are no message. */
  onControl?(): void;
  /**
   * So many bytes have been read, of messages that may not be whole; returns whether it wants to hear of more. Only from
   * transports that have no message to show before it is whole.
   */
  onRead?(bytes: number): boolean;
  /** `cause`: the system's error, where a connection could not be made and it is known. */
  onClose(code: number, reason: string, cause?: unknown): void;
}

/** What a transport tells its owner that reads messages itself and brings payloads to their place. */
export interface StreamHandlers extends TransportHandlers {
  /** Where the payload of `message` goes: exactly `payloadBytes` long; undefined: memory of its own. */
  place(message: Message, payloadBytes: number): PayloadPlace | undefined;
  onMessage(message: Message, payload: Uint8Array): void;
  /** A part of a payload has come, not its end: the other end lives, even if the whole takes long. */
  onProgress?(): void;
  /** Bytes that are no message of this protocol; the connection goes on. */
  onMalformed(error: PsError): void;
}

/** Opens a connection; `onOpen` or `onClose` follows. */
export type Connect = (
  url: string,
  options: ConnectOptions,
  handlers: StreamHandlers & { onOpen(transport: Transport): void },
) => { abort(): void };

/** What a transport needs to open a connection. */
export interface ConnectOptions {
  /** Bearer token; undefined: none. */
  readonly token: string | undefined;
  /** Largest message taken from the other end, in bytes. */
  readonly maxMessageBytes: number;
  /** Send with a zero mask on plain `ws:` beyond loopback too. */
  readonly trustedNetwork: boolean;
  /** For `wss:` in Node, as `tls.connect` takes it. */
  readonly tls?: object | undefined;
}
