/** One Enter, Leave or Tick that is not answered yet. A tick's target is set when it is first sent. */
import { type Enter, type Leave, MessageType, type Tick } from '../protocol/messages.js';
import type { ClockCommand } from './events.js';

/** A change of the clock table that is under way. */
export class ClockOperation {
  readonly kind = 'clock';
  readonly operation: ClockCommand['operation'];
  /** The caller's request; undefined: the worker's own, or given up. */
  request: number | undefined;
  isSent = false;
  wire = 0;
  /** The clock that a tick aims at. */
  target: number | undefined;

  /** Whether the worker itself asks for it, to have its place in or out of the clock table on a new connection. */
  readonly isReentry: boolean;
  /** The clock is to be this at least, once it has entered. */
  readonly atLeast: number | undefined;

  constructor(operation: ClockCommand['operation'], request: number | undefined, atLeast?: number) {
    this.operation = operation;
    this.request = request;
    this.atLeast = atLeast;
    this.isReentry = request === undefined;
  }

  /** Whether any connection has carried it. */
  get wasSent(): boolean {
    return this.wire > 0;
  }

  /** The connection is lost. */
  rewind(): void {
    this.isSent = false;
  }

  /** The caller waits no more. */
  detach(): void {
    this.request = undefined;
  }

  /** After a rollback a tick aims at the clock after the server's. */
  forgetClock(): void {
    this.target = undefined;
  }

  /**
   * The message that asks for it, numbered `wire`. Requires a target if it is a tick. `known`: the clock that
   * the worker knows of, which it says when it takes its place again.
   */
  ask(wire: number, known: number): Enter | Leave | Tick {
    this.isSent = true;
    this.wire = wire;
    const clock = this.isReentry ? known : this.atLeast;
    if (this.operation === 'enter') return { t: MessageType.enter, request: wire, clock };
    if (this.operation === 'leave') return { t: MessageType.leave, request: wire, clock };
    return { t: MessageType.tick, request: wire, clock: this.target ?? 0 };
  }
}
