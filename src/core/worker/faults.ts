/** Turns what the server refuses, and how a connection ends, into the errors that callers see. */
import { codeOfClose, codeOfWire, type Laggard, PsError, type PsErrorDetails } from '../base/errors.js';
import type { Fault, WireLaggard } from '../protocol/messages.js';

/** The laggards of a message as callers see them. */
export function laggardsOf(wire: readonly WireLaggard[]): Laggard[] {
  return wire.map(([id, clock, lastSeenMs]) => ({ id, clock, lastSeenMs }));
}

/** The error that `fault` stands for. */
export function errorOfFault(fault: Fault): PsError {
  const { tensor, expectedSeq, retryAfterMs, laggards } = fault;
  const details: PsErrorDetails = {
    ...(tensor === undefined ? {} : { tensor }),
    ...(expectedSeq === undefined ? {} : { expectedSeq }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(laggards === undefined ? {} : { laggards: laggardsOf(laggards) }),
  };
  return new PsError(codeOfWire(fault.code), fault.message, { details });
}

/** Why a connection ended, from its close code. */
export function errorOfClose(code: number, reason: string, wasOpen: boolean, cause: unknown): PsError {
  const text = reason === '' ? `close code ${code}` : `${reason} (close code ${code})`;
  const known = codeOfClose(code);
  if (known !== undefined) return new PsError(known, `the server ended the connection: ${text}`, { cause });
  return wasOpen
    ? new PsError('PS_CONNECTION_LOST', `the connection was lost: ${text}`, { cause })
    : new PsError('PS_CONNECT_FAILED', `no connection could be made: ${text}`, { cause });
}

/** Whether a machine answered at once that nobody listens there. What a page learns of a failure does not say so. */
export function isRefusal({ code, cause }: PsError): boolean {
  const isOfSystem = typeof cause === 'object' && cause !== null && 'code' in cause;
  return code === 'PS_CONNECT_FAILED' && isOfSystem && cause.code === 'ECONNREFUSED';
}

/** A connection that is given up by this end. */
export function lostConnection(why: string): PsError {
  return new PsError('PS_CONNECTION_LOST', `the connection was lost: ${why}`);
}

/** A push or control that ended without an answer. */
export function outcomeUnknown(what: string, why: string, cause?: unknown): PsError {
  return new PsError('PS_OUTCOME_UNKNOWN', `whether ${what} is not known: ${why}`, { cause });
}

/** What requests fail with once the worker has ended, by itself because of `cause`, or as it was asked. */
export function closedError(cause: PsError | undefined): PsError {
  return cause ?? new PsError('PS_CLOSED', 'the worker is closed');
}

/** A message that the server may not send, or not now. */
export function unexpected(what: string): PsError {
  return new PsError('PS_PROTOCOL', `unexpected message from the server: ${what}`);
}

/** "a at clock 3 (last heard 1.2 s ago), …" */
export function describeLaggards(laggards: readonly Laggard[]): string {
  return laggards
    .map(({ id, clock, lastSeenMs }) => {
      return `${id} at clock ${clock} (last heard ${(lastSeenMs / 1000).toFixed(1)} s ago)`;
    })
    .join(', ');
}
