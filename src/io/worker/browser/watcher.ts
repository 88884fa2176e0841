/** What the dashboard connects with: a reader of one server, which may be one of a group; it asks, and pulls nothing. */
import { WorkerBase } from '../workerBase.js';
import type { WorkerOptions } from '../workerOptions.js';
import { watchPage } from './page.js';
import { platformConnect } from './worker.js';

/** Asks the server at `url` for its stats, and for actions. */
export class Watcher extends WorkerBase<unknown> {
  constructor(url: string, options: WorkerOptions) {
    super({ connect: platformConnect, watchPage, watchesOneServer: true }, url, {
      ...options,
      readOnly: true,
    });
  }
}
