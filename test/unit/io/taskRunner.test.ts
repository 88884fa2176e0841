import { describe, expect, it } from 'vitest';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { encodeValue } from '../../../src/core/protocol/valueCodec.js';
import type { LeaseCommand, ResultsCommand } from '../../../src/core/worker/events.js';
import { TaskRunner } from '../../../src/io/worker/taskRunner.js';
import type { Command, WorkerHost } from '../../../src/io/worker/workerHost.js';

interface Asked {
  readonly command: Command;
  answer(value?: unknown): void;
}

/** A host that keeps what it is asked, and answers when it is told to; announcements at once. */
class Host {
  readonly core = { hasEnded: false };
  readonly asked: Asked[] = [];
  #onAsked: (() => void)[] = [];

  call(command: Command): { answer: Promise<unknown>; cancel(): void } {
    const cancel = (): void => {};
    if (command.kind === 'computing') return { answer: Promise.resolve(), cancel };
    const answer = new Promise<unknown>((resolve) => this.asked.push({ command, answer: resolve }));
    for (const tell of this.#onAsked.splice(0)) tell();
    return { answer, cancel };
  }

  /** The next thing asked of `kind`, which is taken. */
  async next(kind: Command['kind']): Promise<Asked> {
    for (;;) {
      const at = this.asked.findIndex(({ command }) => command.kind === kind);
      if (at >= 0) return this.asked.splice(at, 1)[0] as Asked;
      await new Promise<void>((resolve) => this.#onAsked.push(resolve));
    }
  }
}

function granted(...leases: number[]): unknown {
  const { pieces, bytes } = encodeValue('input');
  const each = Buffer.concat(pieces);
  const lengths = leases.map(() => bytes);
  const message = { t: MessageType.taskLeases, leases, lengths, bytes: 0, maxResultBytes: 1_000_000 };
  return { message, bytes: new Uint8Array(Buffer.concat(leases.map(() => each))) };
}

const heldIn = ({ command }: Asked): number[] => [...(command as LeaseCommand).held];
const leasesIn = ({ command }: Asked): readonly number[] => (command as ResultsCommand).leases;

describe('a worker that asks for more tasks', () => {
  it('holds on to those whose results the server has not acknowledged', async () => {
    const host = new Host();
    const limits = { maxBytes: 1_000_000, maxStepMs: 1_000 };
    const runner = new TaskRunner(host as unknown as WorkerHost, () => 'result', 1, limits);
    (await host.next('lease')).answer(granted(1, 2));
    const results = await host.next('results');
    const second = leasesIn(results).length === 2 ? results : await host.next('results');
    const more = await host.next('lease');
    // It is sent when all that is before it is: what it says then, not when it was made.
    expect(heldIn(more).sort()).toEqual([1, 2]);
    results.answer();
    second.answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(heldIn(more)).toEqual([]);
    runner.end();
    await runner.finished;
  });
});
