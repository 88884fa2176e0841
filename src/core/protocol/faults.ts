/** Errors as Fault messages: the numbers are in `base/errors.ts`, the fields are here. */
import { type PsError, wireCodeOf } from '../base/errors.js';
import { MAX_LAGGARDS, MAX_TEXT_LENGTH } from './limits.js';
import { type Fault, MessageType } from './messages.js';

/** The message that tells the other end of `error`, without a request or seq. */
export function faultOf(error: PsError): Fault {
  const { tensor, expectedSeq, retryAfterMs, laggards } = error.details;
  const code = wireCodeOf(error.code);
  return {
    t: MessageType.fault,
    code: code === 0 ? wireCodeOf('PS_INTERNAL') : code,
    message: error.message.slice(0, MAX_TEXT_LENGTH),
    tensor: tensor?.slice(0, MAX_TEXT_LENGTH),
    expectedSeq,
    retryAfterMs,
    laggards: laggards?.slice(0, MAX_LAGGARDS).map(({ id, clock, lastSeenMs }) => [id, clock, lastSeenMs]),
  };
}
