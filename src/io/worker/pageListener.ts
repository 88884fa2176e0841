/** What a worker does about what becomes of the page that it runs in. */
import type { Intermission } from './intermission.js';
import type { PageListener } from './platform.js';
import type { WorkerHost } from './workerHost.js';

/** The listener of one worker. `isLeaving`: it steps out of training while its page is hidden. */
export function pageListenerOf(
  host: WorkerHost,
  intermission: Intermission,
  isLeaving: boolean,
  end: () => void,
): PageListener {
  return {
    hide: () => {
      if (isLeaving) intermission.begin();
    },
    show: () => intermission.end(),
    sleep: () => host.tell('sleep'),
    wake: () => host.tell('wake'),
    end,
  };
}
