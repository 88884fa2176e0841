/**
 * Before Hello a connection is nobody's: nothing longer than a Hello is taken from it, whatever its frame says. A transport
 * that reads headers first asks for no memory for such a payload; another is stopped as soon as too much has come.
 */
import { PsError } from '../../core/base/errors.js';
import { MAX_HEADER_BYTES } from '../../core/protocol/limits.js';
import type { StreamHandlers } from '../transport/transport.js';

/** The longest Hello, and what frames and pings take. */
const MAX_BYTES = 2 * MAX_HEADER_BYTES;

/** `handlers`, which refuse more than a Hello until `isGreeted`. */
export function untilHello(handlers: StreamHandlers, isGreeted: () => boolean): StreamHandlers {
  let isKnown = false;
  let taken = 0;
  const isStrange = (): boolean => {
    isKnown ||= isGreeted();
    return !isKnown;
  };
  const refuse = (): void =>
    handlers.onMalformed(new PsError('PS_PROTOCOL', 'the first message must be Hello'));
  return {
    ...handlers,
    place(message, bytes) {
      if (!isStrange()) return handlers.place(message, bytes);
      refuse();
      return undefined;
    },
    onRead(bytes) {
      if (!isStrange()) return false;
      taken += bytes;
      if (taken <= MAX_BYTES) return true;
      refuse();
      return false;
    },
  };
}
