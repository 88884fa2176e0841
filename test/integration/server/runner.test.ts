import { describe, expect, it } from 'vitest';
import type { Observation, ServerEffect } from '../../../src/core/server/events.js';
import { DEFAULT_SERVER_LIMITS } from '../../../src/core/server/limits.js';
import type { ServerCore } from '../../../src/core/server/serverCore.js';
import { CoreRunner } from '../../../src/io/server/coreRunner.js';
import type { StreamHandlers, Transport } from '../../../src/io/transport/transport.js';

/** A transport that notes what is done to it, and the handlers that it was given. */
function connectTo(runner: CoreRunner): { calls: string[]; handlers: StreamHandlers } {
  const calls: string[] = [];
  let given: StreamHandlers | undefined;
  const transport: Transport = {
    bufferedBytes: 0,
    send: () => calls.push('send'),
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
    close: (code) => calls.push(`close ${code}`),
    terminate: () => calls.push('terminate'),
  };
  const wire = { bytesRead: 0, bytesWritten: 0 };
  runner.connect(
    { role: 'worker' },
    (handlers) => {
      given = handlers;
      return transport;
    },
    wire,
  );
  return { calls, handlers: given as StreamHandlers };
}

/** A core whose `step` is `step`. */
function runnerOf(step: (kind: string) => readonly ServerEffect[]): {
  runner: CoreRunner;
  seen: Observation[];
} {
  const core = { step: (event: { kind: string }) => step(event.kind) };
  const seen: Observation[] = [];
  const runner = new CoreRunner(core as unknown as ServerCore, DEFAULT_SERVER_LIMITS, (each) =>
    seen.push(each),
  );
  return { runner, seen };
}

describe('a core that throws: a bug of ours', () => {
  it('stops the server for good: every connection ends, the owner is told, nothing escapes', () => {
    const { runner, seen } = runnerOf((kind) => {
      if (kind === 'malformed') throw new Error('invariant broken');
      return [];
    });
    const [one, two] = [connectTo(runner), connectTo(runner)];
    one.handlers.onText();
    expect([one.calls, two.calls]).toEqual([['terminate'], ['terminate']]);
    expect(seen).toMatchObject([{ kind: 'error', error: { code: 'PS_INTERNAL' } }]);
    expect(runner.failure?.message).toContain('invariant broken');
    two.handlers.onText();
    expect(seen).toHaveLength(1);
    expect(connectTo(runner).calls).toEqual(['terminate']);
  });

  it('can still be stopped', async () => {
    const { runner } = runnerOf(() => {
      throw new Error('broken');
    });
    const { handlers } = connectTo(runner);
    const stopped = runner.stop(60_000);
    handlers.onClose(1006, '');
    await stopped;
    expect(runner.connections).toBe(0);
  });
});

describe('effects', () => {
  it('are carried out before the events that they bring about', () => {
    const order: string[] = [];
    const { runner } = runnerOf((kind) => {
      order.push(kind);
      if (kind !== 'malformed') return [];
      return [
        { kind: 'stream', connection: 99, stream: { id: 1, next: () => undefined } },
        { kind: 'close', connection: 1, code: 1008, reason: '' },
      ];
    });
    const { calls, handlers } = connectTo(runner);
    handlers.onText();
    expect(order).toEqual(['connected', 'malformed', 'streamEnded']);
    expect(calls).toEqual(['close 1008']);
  });
});
