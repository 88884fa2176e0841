/**
 * A worker that behaves: it adds 1 to its own cell and to the last, shared one with each push, keeps what
 * is not answered, and sends it again after a reconnect. It counts what it was told.
 */
import type { FakeWorker, PushDetails } from '../../unit/server/fakeWorker.js';
import type { TestServer } from '../../unit/server/kit.js';

interface Unanswered {
  readonly seq: number;
  readonly details: PushDetails;
}

/** One process under a worker's id. */
export class Actor {
  readonly worker: FakeWorker;
  readonly #cell: number;
  readonly #length: number;
  #unanswered: Unanswered[] = [];
  /** Pushes that were acknowledged as in the parameters. */
  counted = 0;
  /** Pulls that were asked for and not answered; their clocks, by request; undefined: not for training. */
  readonly pulls = new Map<number, number | undefined>();
  isGone = false;

  constructor(worker: FakeWorker, cell: number, length: number) {
    this.worker = worker;
    this.#cell = cell;
    this.#length = length;
  }

  /** Pushes of unknown fate. */
  get unknown(): number {
    return this.#unanswered.length;
  }

  /** Sends the next push, cut after `chunk` elements, unless too many are unanswered. */
  push(chunk: number, isTicking: boolean): void {
    if (!this.worker.isOpen || this.#unanswered.length >= 4) return;
    const tick = isTicking ? this.worker.clock + 1 : undefined;
    // The clock of a push whose tick is on its way is not known yet: one at a time ticks.
    if (this.#unanswered.some(({ details }) => details.tick !== undefined)) return;
    const details: PushDetails = {
      clock: this.worker.clock,
      chunk,
      ...(tick === undefined ? {} : { tick }),
    };
    const seq = this.worker.seq + 1;
    this.#unanswered.push({ seq, details });
    this.#send({ seq, details });
  }

  /** Sends the first chunks of a push and no more: the connection must be lost before it sends again. */
  pushPart(chunk: number): void {
    if (!this.worker.isOpen || this.#unanswered.length > 0) return;
    const seq = this.worker.seq + 1;
    this.#unanswered.push({ seq, details: { clock: this.worker.clock, chunk } });
    this.#send({ seq, details: { clock: this.worker.clock, chunk, only: 1 } });
    this.worker.drop();
  }

  pull(isTraining: boolean): void {
    const { worker } = this;
    if (!worker.isOpen || this.pulls.size > 0) return;
    this.pulls.set(worker.nextRequest, isTraining ? worker.clock : undefined);
    worker.pull({ training: isTraining });
  }

  /** A new connection for the same process, and everything unanswered again. */
  reconnect(): void {
    this.pulls.clear();
    this.worker.reconnect();
    for (const each of this.#unanswered) if (this.worker.isOpen) this.#send(each);
  }

  /** The process is dead: nobody hears what it is told from now on. */
  die(): void {
    this.isGone = true;
    this.pulls.clear();
    if (this.worker.isOpen) this.worker.drop();
  }

  /** Takes note of what it was told; returns what it did not expect. */
  hear(): string[] {
    const odd: string[] = [];
    for (const line of this.worker.lines()) {
      const push = /^push (\d+) (applied|scaled|buffered|dropped|refused)/.exec(line);
      const pull = /^(?:pull|request) (\d+)(?::| refused: PS_PULL_TIMEOUT)/.exec(line);
      if (push !== null) {
        const [, seq, outcome] = push;
        const before = this.#unanswered.length;
        this.#unanswered = this.#unanswered.filter((each) => each.seq !== Number(seq));
        if (outcome === 'refused' || this.#unanswered.length === before) odd.push(line);
        else if (outcome !== 'dropped') this.counted++;
      } else if (pull !== null) {
        this.pulls.delete(Number(pull[1]));
      } else if (/^(unexpected|chunk of nothing)/.test(line)) {
        odd.push(line);
      }
      if (line.startsWith('closed')) this.pulls.clear();
    }
    return odd;
  }

  #send({ seq, details }: Unanswered): void {
    const gradient = Array.from({ length: this.#length }, () => 0);
    gradient[this.#cell] = -1;
    gradient[this.#length - 1] = -1;
    this.worker.push(gradient, { ...details, seq });
  }
}

/** Connects a new process under `id`. */
export function newActor(server: TestServer, id: string, key: string, cell: number, length: number): Actor {
  const worker = server.stranger(id, { key });
  worker.hello();
  return new Actor(worker, cell, length);
}
