/** One Stats, Control or WatchRows that is not answered yet. */
import type { Control, Stats } from '../protocol/askMessages.js';
import { MessageType } from '../protocol/messages.js';
import type { WatchRows } from '../protocol/rowMessages.js';
import type { AskCommand } from './events.js';

/** A question to the server that is under way. */
export class AskOperation {
  readonly kind = 'ask';
  readonly command: AskCommand;
  /** The caller's request; undefined: given up. */
  request: number | undefined;
  isSent = false;
  wire = 0;
  readonly target = undefined;

  constructor(command: AskCommand) {
    this.command = command;
    this.request = command.request;
  }

  /** Whether any connection has carried it. */
  get wasSent(): boolean {
    return this.wire > 0;
  }

  /** Whether asking twice may do something twice. */
  get changesServer(): boolean {
    return this.command.action !== undefined;
  }

  /** The connection is lost. */
  rewind(): void {
    this.isSent = false;
  }

  /** The caller waits no more. */
  detach(): void {
    this.request = undefined;
  }

  forgetClock(): void {}

  /** The message that asks it, numbered `wire`. */
  ask(wire: number): Stats | Control | WatchRows {
    this.isSent = true;
    this.wire = wire;
    const { action, after, watch } = this.command;
    if (watch !== undefined) return { t: MessageType.watchRows, request: wire, ...watch };
    return action === undefined
      ? { t: MessageType.stats, request: wire, after }
      : { t: MessageType.control, request: wire, action };
  }
}
