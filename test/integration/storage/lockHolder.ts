/** A process that takes the directory it is told and says so; it ends only by being killed. */
import { NodeDisk } from '../../../src/io/storage/nodeDisk.js';

new NodeDisk().lock(process.argv[2] as string, (error) => {
  process.send?.(error === null ? 'locked' : (error.code ?? 'failed'));
});
// The lock alone keeps no process alive.
setInterval(() => {}, 60_000);
