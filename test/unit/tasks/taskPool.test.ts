import { describe, expect, it } from 'vitest';
import { type PoolTask, TaskPool } from '../../../src/core/tasks/taskPool.js';

function task(id: number, maxAttempts = 2, timeoutMs = 100): PoolTask<string> {
  return { id, input: `input ${id}`, maxAttempts, timeoutMs, attempts: 0, startedAt: undefined };
}

function pool(...ids: number[]): TaskPool<string> {
  const made = new TaskPool<string>();
  for (const id of ids) made.add(task(id));
  return made;
}

describe('generic tasks', () => {
  it('are handed out in order, those that came back first', () => {
    const tasks = pool(1, 2, 3);
    const first = tasks.take('a');
    expect(first.task.id).toBe(1);
    expect(tasks.giveBack(first.number, false)).toBeUndefined();
    expect([tasks.take('b').task.id, tasks.take('b').task.id, tasks.take('b').task.id]).toEqual([1, 2, 3]);
    expect(tasks.peek()).toBeUndefined();
  });

  it('fail when they were tried as often as they may be; what was no attempt does not count', () => {
    const tasks = pool(1);
    expect(tasks.giveBack(tasks.take('a').number, true)).toBeUndefined();
    expect(tasks.giveBack(tasks.take('a').number, false)).toBeUndefined();
    expect(tasks.giveBack(tasks.take('a').number, true)?.id).toBe(1);
    expect(tasks.waiting).toBe(0);
  });

  it('are finished once, by whoever holds the lease', () => {
    const tasks = pool(1);
    const old = tasks.take('a');
    tasks.giveBack(old.number, true);
    const present = tasks.take('b');
    expect(tasks.finish(old.number, 'a')).toBeUndefined();
    expect(tasks.finish(present.number, 'a')).toBeUndefined();
    expect(tasks.finish(present.number, 'b')?.id).toBe(1);
    expect(tasks.finish(present.number, 'b')).toBeUndefined();
  });

  it('begin when they are among the first that their worker has', () => {
    const tasks = pool(1, 2, 3);
    const [first, second] = [tasks.take('a'), tasks.take('a')];
    tasks.take('a');
    expect(tasks.running('a', 1, 50).map(({ task: { id } }) => id)).toEqual([1]);
    tasks.finish(first.number, 'a');
    tasks.running('a', 1, 80);
    expect(second.task.startedAt).toBe(80);
    expect([...tasks.leases][1]?.task.startedAt).toBeUndefined();
  });

  it('that nobody wants any more are not handed out, and those that are out are told', () => {
    const tasks = pool(1, 2, 3, 4, 5);
    tasks.take('a');
    expect(tasks.cancel(new Set([1, 2, 4])).map(({ holder }) => holder)).toEqual(['a']);
    expect([tasks.take('b').task.id, tasks.take('b').task.id]).toEqual([3, 5]);
    expect(tasks.peek()).toBeUndefined();
  });
});
