/** Who a worker is: what it tells each server that it meets. */
import { MessageType, PROTOCOL_VERSION } from '../protocol/messages.js';
import type { Hello } from '../protocol/sessionMessages.js';

/** What the worker says of itself. */
export interface WorkerIdentity {
  /** 1–128 characters. */
  readonly id: string;
  /** 32 hexadecimal digits, of this process alone. */
  readonly session: string;
  readonly readOnly: boolean;
  /** The server may be one of a group; default false. */
  readonly isMember?: boolean;
  /** Bound of the first connection, with all its attempts. */
  readonly connectTimeoutMs: number;
}

/** The first message of a connection. `lineage`: of the last Welcome, if there was one. */
export function helloOf({ id, session, readOnly }: WorkerIdentity, lineage: string | undefined): Hello {
  const hello = { t: MessageType.hello, protocol: PROTOCOL_VERSION, worker: id, session, readOnly, lineage };
  return readOnly ? hello : { ...hello, takes: [MessageType.staleness] };
}
