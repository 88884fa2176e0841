/**
 * A simulated network: who can reach whom, and the connections there are. Faults are applied here by
 * name; what they mean for one connection stands in `link.ts`.
 */
import type { Random } from '../../core/base/random.js';
import type { Transport, TransportHandlers } from '../../io/transport/transport.js';
import { drawLatencyMs, type NetworkConditions, SharedLine } from './conditions.js';
import { Link } from './link.js';
import type { LinkEnd } from './linkEnd.js';
import type { SimProcess } from './simProcess.js';
import type { Timeline } from './timeline.js';

/** Whoever listens for connections. */
export interface Listener {
  /** The process that listens; undefined while none does. */
  readonly listening: SimProcess | undefined;
  /** A connection was made; its frames go to the returned handlers. */
  accept(transport: Transport): TransportHandlers;
}

/** A connection and whose it is. */
export interface Connected {
  readonly link: Link;
  readonly worker: string;
}

/** An attempt to connect. */
export interface Attempt {
  abort(): void;
}

/** All connections of a simulation. */
export class Network {
  readonly conditions: NetworkConditions;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #inbound: SharedLine;
  readonly #outbound: SharedLine;
  readonly #open = new Set<Connected>();
  /** Until when each worker is cut off from everyone, and from one listener. */
  readonly #cutOff = new Map<string, Map<Listener | 'everyone', number>>();

  constructor(timeline: Timeline, random: Random, conditions: NetworkConditions) {
    this.#timeline = timeline;
    this.#random = random;
    this.conditions = conditions;
    this.#inbound = new SharedLine(conditions.serverBytesPerMs);
    this.#outbound = new SharedLine(conditions.serverBytesPerMs);
  }

  /** The connections of `worker`, or all. */
  connections(worker?: string): Connected[] {
    return [...this.#open].filter((each) => worker === undefined || each.worker === worker);
  }

  /** Dials `listener` for a process of `worker`; `onOpen` or `onClose` follows, unless it is aborted. */
  dial(
    worker: string,
    process: SimProcess,
    listener: Listener,
    handlers: TransportHandlers & { onOpen(transport: Transport): void },
  ): Attempt {
    let isAborted = false;
    let opened: LinkEnd | undefined;
    this.#timeline.at(this.#reachedAt(worker, listener), () => {
      if (isAborted || !process.isAlive) return;
      const { listening: other } = listener;
      if (other === undefined || !other.isAlive) {
        process.after(this.#latency(), () => {
          if (!isAborted) handlers.onClose(1006, 'connection refused');
        });
        return;
      }
      const link = this.#connect(worker, process, other);
      link.near.attach(handlers);
      opened = link.near;
      other.run(() => link.far.attach(listener.accept(link.far)));
      process.at(this.#reachedAt(worker, listener), () => {
        if (!isAborted && !link.near.isEnded) handlers.onOpen(link.near);
      });
    });
    return {
      abort() {
        isAborted = true;
        opened?.terminate();
      },
    };
  }

  /**
   * Cuts `worker` off until `until`, from everyone or from one listener: nothing arrives, no connection is made; what
   * was sent arrives then.
   */
  cutOff(worker: string, until: number, from: Listener | 'everyone' = 'everyone'): void {
    const ends = this.#cutOff.get(worker) ?? new Map<Listener | 'everyone', number>();
    this.#cutOff.set(worker, ends.set(from, Math.max(until, ends.get(from) ?? 0)));
    for (const { link } of this.connections(worker)) {
      if (from === 'everyone' || link.far.process === from.listening) link.hold(until);
    }
  }

  /** `process` is dead: the other ends of its connections learn it, unless its machine is dead too. */
  died(process: SimProcess, isMachineDead: boolean): void {
    for (const connected of this.#open) {
      const { near, far } = connected.link;
      if (near.process !== process && far.process !== process) continue;
      connected.link.died(near.process === process ? 'near' : 'far', isMachineDead);
      this.#open.delete(connected);
    }
  }

  #connect(worker: string, near: SimProcess, far: SimProcess): Link {
    const parts = {
      timeline: this.#timeline,
      random: this.#random,
      conditions: this.conditions,
      isZeroCopy: this.conditions.isZeroCopy,
      inbound: this.#inbound,
      outbound: this.#outbound,
    };
    const connected: Connected = {
      link: new Link(parts, near, far, () => this.#open.delete(connected)),
      worker,
    };
    this.#open.add(connected);
    return connected.link;
  }

  #reachedAt(worker: string, listener: Listener): number {
    const ends = this.#cutOff.get(worker);
    const until = Math.max(ends?.get('everyone') ?? 0, ends?.get(listener) ?? 0);
    return Math.max(this.#timeline.now, until) + this.#latency();
  }

  #latency(): number {
    return drawLatencyMs(this.conditions, this.#random);
  }
}
