/** The processes of the demonstration: a parameter server that can be killed, and the service behind one port. */
import { type ChildProcess, fork } from 'node:child_process';
import cluster, { type Worker as ServiceProcess } from 'node:cluster';
import { once } from 'node:events';

/** What a service process says of itself. */
export interface ServiceState {
  readonly ageMs: number;
  readonly learned: number;
  readonly waiting: number;
  readonly dropped: number;
}

/** A parameter server in a process of its own, always at the same port. */
export class ServerProcess {
  readonly #dataDir: string;
  #child: ChildProcess | undefined;
  #url = '';

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  get url(): string {
    return this.#url;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const port = this.#url === '' ? '0' : new URL(this.#url).port;
    const env = { ...process.env, CTR_SERVER_PORT: port, CTR_DATA_DIR: this.#dataDir };
    this.#child = fork(new URL('./parameterServer.ts', import.meta.url), { env });
    const [message] = await once(this.#child, 'message');
    this.#url = (message as { url: string }).url;
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    if (this.#child !== undefined) await once(this.#child, 'exit');
  }
}

/** The processes of the service. Several share one port: Node hands connections to them in turn. */
export class Service {
  readonly #processes: ServiceProcess[] = [];

  /** Resolves to the port when all of them listen. */
  async start(count: number, serverUrl: string, secret: string, port: number): Promise<number> {
    cluster.setupPrimary({ exec: new URL('./service.ts', import.meta.url).pathname });
    let shared = port;
    // Port 0 is the same one for all that ask the primary process for it.
    const portText = `${port}`;
    for (let i = 0; i < count; i++) {
      const env = { CTR_SERVER_URL: serverUrl, CTR_SECRET: secret, CTR_PORT: portText };
      const started = cluster.fork(env);
      this.#processes.push(started);
      const [address] = await once(started, 'listening');
      shared = (address as { port: number }).port;
    }
    return shared;
  }

  async states(): Promise<ServiceState[]> {
    return Promise.all(
      this.#processes.map(async (each) => {
        const answer = once(each, 'message');
        each.send('state');
        return (await answer)[0] as ServiceState;
      }),
    );
  }

  /** Resolves when all feedback is learned from, and the copies have it; not before the parameter server is back. */
  async settled(): Promise<void> {
    const isSettled = ({ waiting, ageMs }: ServiceState): boolean => waiting === 0 && ageMs < 1_000;
    while (!(await this.states()).every(isSettled)) await new Promise((resolve) => setTimeout(resolve, 100));
  }

  /** From now on the model that the others are compared with stays as it is. */
  freeze(): void {
    for (const each of this.#processes) each.send('freeze');
  }

  stop(): void {
    for (const each of this.#processes) each.kill('SIGKILL');
  }
}
