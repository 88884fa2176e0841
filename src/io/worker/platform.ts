/** What a worker needs of the platform it runs on: a way to connect, and, in a browser, news of its page. */
import type { GradientKernels } from '../../core/worker/group/gradientCheck.js';
import type { GroupCoreOptions } from '../../core/worker/group/groupCore.js';
import type { WorkerMachine } from '../../core/worker/workerMachine.js';
import type { Connect } from '../transport/transport.js';

/** One platform. */
export interface Platform {
  readonly connect: Connect;
  /** How gradients are looked at before they are cut for a group. Left out: in plain JavaScript. */
  readonly gradientKernels?: () => GradientKernels;
  /** The worker only asks one server, which may be one of a group, what it has to tell. Left out: false. */
  readonly watchesOneServer?: boolean;
  /**
   * The core of a worker whose urls come from a function, where its group may be made anew in another number of shards.
   * Left out, as in a page: the worker ends then.
   */
  readonly movingGroup?: (options: GroupCoreOptions) => WorkerMachine;
  /** Tells `listener` what becomes of the page until the returned function is called. Left out: nothing does. */
  readonly watchPage?: (listener: PageListener) => () => void;
}

/** Who is told what becomes of the page. Everything is said while the page still runs. */
export interface PageListener {
  /** Nobody sees the page: the browser slows its timers down. */
  hide(): void;
  show(): void;
  /** The page is about to be frozen, or kept in the history: nothing runs until `wake`. */
  sleep(): void;
  /** The page runs again, or the network is back. */
  wake(): void;
  /** The page goes away for good. */
  end(): void;
}
