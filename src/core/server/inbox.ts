/**
 * The messages of one worker whose order matters: Enter, Leave, Tick, Pull, PullRows, Push, DataRequest. They are
 * handled strictly in the order in which they began to arrive; a push or the ids of a pull that are still arriving, or
 * a push that waits for its turn to be applied, hold back what is behind them. Liveness messages pass.
 */
import type { Enter, Leave, Pull, Tick } from '../protocol/messages.js';
import type { DataRequest } from '../protocol/taskMessages.js';
import type { IncomingIds } from './incomingIds.js';
import type { IncomingPush } from './intake.js';

/** A request that keeps its place. */
export type OrderedRequest = Enter | Leave | Tick | Pull | DataRequest;

/** One message in order. */
export type OrderedMessage =
  | { readonly kind: 'request'; readonly message: OrderedRequest }
  | { readonly kind: 'rows'; readonly rows: IncomingIds }
  | { readonly kind: 'push'; readonly push: IncomingPush };
