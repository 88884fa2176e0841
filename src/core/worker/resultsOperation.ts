/** Results of generic tasks that the server has not acknowledged. They may be sent any number of times. */
import { MessageType } from '../protocol/messages.js';
import { joinValues, ValueStream } from '../protocol/valueStream.js';
import type { ResultsCommand } from './events.js';

/** Results on their way. */
export class ResultsOperation {
  readonly kind = 'results';
  readonly command: ResultsCommand;
  /** The caller's request; undefined: given up. */
  request: number | undefined;
  isSent = false;
  wire = 0;
  readonly target = undefined;

  constructor(command: ResultsCommand) {
    this.command = command;
    this.request = command.request;
  }

  get wasSent(): boolean {
    return this.wire > 0;
  }

  rewind(): void {
    this.isSent = false;
  }

  /** The caller waits no more. */
  detach(): void {
    this.request = undefined;
  }

  forgetClock(): void {}

  /** The transfer `id` that carries them, as request `wire`. */
  stream(id: number, wire: number, chunkBytes: number): ValueStream {
    this.isSent = true;
    this.wire = wire;
    const { leases, values, failed } = this.command;
    const all = joinValues(values);
    const head = {
      t: MessageType.taskResults,
      request: wire,
      leases,
      lengths: values.map(({ bytes }) => bytes),
      failed: failed.length === 0 ? undefined : failed,
      bytes: all.bytes,
    };
    const chunk = (offset: number) => ({ t: MessageType.taskResultChunk, request: wire, offset }) as const;
    return new ValueStream(id, all, { head, chunk }, chunkBytes);
  }
}
