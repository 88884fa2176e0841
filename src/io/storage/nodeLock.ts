/**
 * A directory for one process alone. The lock is a listening socket: the system ends it with the process,
 * however that dies, so nothing stale can block the next start, and no process id can be mistaken.
 *
 * Linux: an abstract socket named after the directory's inode, which is taken by one process in one step,
 * and, for processes in other containers that see the same directory, a socket in the file `lock`.
 * macOS: the file alone. Windows: a named pipe. Machines that share a directory over a network are not
 * kept apart.
 */
import { createHash } from 'node:crypto';
import { close as closeDescriptor, constants, lstat, open, realpath, stat, unlink } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskDone, DiskError, DiskLock, DiskResult } from './disk.js';
import { LOCK_NAME } from './names.js';

/** The longest path of a socket that every system takes. */
const MAX_SOCKET_PATH = 100;

/** Takes `directory`; `EBUSY` if a process has it. */
export function lockDirectory(directory: string, done: DiskResult<DiskLock>): void {
  const lock = new SocketLock(directory);
  const steps = process.platform === 'win32' ? [lock.takePipe] : [lock.takeAbstract, lock.takeFile];
  const next = (error: DiskError | null): void => {
    const step = error === null ? steps.shift() : undefined;
    if (step !== undefined) step(next);
    else if (error === null) done(null, lock);
    else lock.release(() => done(error));
  };
  next(null);
}

class SocketLock implements DiskLock {
  readonly #directory: string;
  readonly #servers: Server[] = [];
  /** Keeps a path through `/proc/self/fd` alive. */
  #descriptor: number | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  release(done: DiskDone): void {
    const server = this.#servers.pop();
    if (server !== undefined) {
      server.close(() => this.release(done));
    } else if (this.#descriptor !== undefined) {
      const descriptor = this.#descriptor;
      this.#descriptor = undefined;
      closeDescriptor(descriptor, () => done(null));
    } else {
      done(null);
    }
  }

  takeAbstract = (done: DiskDone): void => {
    if (process.platform !== 'linux') {
      done(null);
      return;
    }
    stat(this.#directory, { bigint: true }, (error, found) => {
      if (error !== null) done(error);
      else this.#listen(`\0pslib:${found.dev}:${found.ino}`, (cause) => done(asBusy(cause, this.#directory)));
    });
  };

  takePipe = (done: DiskDone): void => {
    realpath(this.#directory, (error, path) => {
      if (error !== null) done(error);
      else
        this.#listen(`\\\\.\\pipe\\pslib-${hashOf(path)}`, (cause) => done(asBusy(cause, this.#directory)));
    });
  };

  takeFile = (done: DiskDone): void => {
    this.#shortPath((error, path) => {
      if (path === undefined) done(error);
      else this.#takeSocket(path, done);
    });
  };

  #takeSocket(path: string, done: DiskDone): void {
    this.#listen(path, (error) => {
      if (error?.code === 'EADDRINUSE') {
        this.#replace(path, done);
        return;
      }
      // A file system without sockets: on Linux the abstract one has to do.
      const isPossible = error === null || !['EOPNOTSUPP', 'ENOTSUP', 'EINVAL'].includes(error.code ?? '');
      done(isPossible || process.platform !== 'linux' ? error : null);
    });
  }

  /** The file is there: a process that lives has it, or one that died left it. */
  #replace(path: string, done: DiskDone): void {
    lstat(path, (statError, found) => {
      if (statError !== null || !found.isSocket()) {
        done(statError ?? busy(`"${this.#directory}" has a file "${LOCK_NAME}" that is not pslib's`));
        return;
      }
      const probe = connect({ path });
      probe.once('connect', () => {
        probe.destroy();
        done(busy(`another process uses "${this.#directory}"`));
      });
      probe.once('error', (error: DiskError) => {
        // Anything but a refusal may come from a process that lives but is busy or stopped.
        if (error.code !== 'ECONNREFUSED') done(busy(`another process uses "${this.#directory}"`));
        else unlink(path, () => this.#listen(path, (cause) => done(asBusy(cause, this.#directory))));
      });
    });
  }

  #listen(path: string, done: DiskDone): void {
    const server = createServer((socket) => socket.destroy());
    const onError = (error: DiskError): void => done(error);
    server.once('error', onError);
    server.listen({ path, exclusive: true }, () => {
      server.off('error', onError);
      server.on('error', () => {});
      server.unref();
      this.#servers.push(server);
      done(null);
    });
  }

  /** A path of the lock file that is short enough for a socket. */
  #shortPath(done: DiskResult<string>): void {
    const path = join(this.#directory, LOCK_NAME);
    if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) {
      done(null, path);
    } else if (process.platform === 'linux') {
      open(this.#directory, constants.O_RDONLY, (error, descriptor) => {
        if (error !== null) {
          done(error);
          return;
        }
        this.#descriptor = descriptor;
        done(null, `/proc/self/fd/${descriptor}/${LOCK_NAME}`);
      });
    } else {
      realpath(this.#directory, (error, real) => {
        if (error !== null) done(error);
        else done(null, join(tmpdir(), `pslib-${hashOf(real)}.lock`));
      });
    }
  }
}

function hashOf(path: string): string {
  return createHash('sha256').update(path.toLowerCase()).digest('hex').slice(0, 24);
}

function busy(message: string): DiskError {
  return Object.assign(new Error(message), { code: 'EBUSY' });
}

function asBusy(error: DiskError | null, directory: string): DiskError | null {
  return error?.code === 'EADDRINUSE' ? busy(`another process uses "${directory}"`) : error;
}
