/**
 * Hosts as network namespaces of this machine: each has an address of its own on a bridge that stands in a
 * namespace too, so nothing outside of them changes. Traffic between them is dropped by iptables inside of the host
 * that would receive it.
 */
import { execFileSync } from 'node:child_process';

/** A host's own address; the network has 254. */
const addressOf = (host: number): string => `10.77.0.${host + 1}`;

/** Why hosts can't be made here; undefined if they can. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a feature of Linux';
  try {
    const network = new HostNetwork(1);
    try {
      network.dropFrom(0, 0);
    } finally {
      network.remove();
    }
    return undefined;
  } catch (error) {
    return (error as Error).message.split('\n').slice(0, 2).join(' ');
  }
}

let networks = 0;

/** Some hosts on one network. */
export class HostNetwork {
  readonly #name = `pslib-${process.pid}-${networks++}`;
  readonly #made: string[] = [];

  constructor(hosts: number) {
    try {
      const hub = this.#namespace('hub');
      ip('-n', hub, 'link', 'add', 'bridge0', 'type', 'bridge');
      ip('-n', hub, 'link', 'set', 'bridge0', 'up');
      for (let host = 0; host < hosts; host++) this.#connect(this.#namespace(`${host}`), host, hub);
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** The address of a host. */
  address(host: number): string {
    return addressOf(host);
  }

  /** A command that runs what follows it on `host`. */
  commandOn(host: number): string[] {
    return ['nsenter', `--net=/run/netns/${this.#name}-${host}`];
  }

  /** From now on `to` gets nothing that `from` sends. */
  dropFrom(from: number, to: number): void {
    this.#rule(to, '-A', 'INPUT', '-s', addressOf(from), '-j', 'DROP');
  }

  /** From now on a share of the packets that reach `host` is lost. */
  losePackets(host: number, share: number): void {
    this.#rule(
      host,
      '-A',
      'INPUT',
      '-m',
      'statistic',
      '--mode',
      'random',
      '--probability',
      `${share}`,
      '-j',
      'DROP',
    );
  }

  /** Nothing is dropped any more. */
  heal(): void {
    for (let host = 0; host < this.#made.length - 1; host++) this.#rule(host, '-F', 'INPUT');
  }

  /** Removes all of it. */
  remove(): void {
    for (const name of this.#made.splice(0).reverse()) ip('netns', 'delete', name);
  }

  #namespace(part: string): string {
    const name = `${this.#name}-${part}`;
    ip('netns', 'add', name);
    this.#made.push(name);
    return name;
  }

  #connect(name: string, host: number, hub: string): void {
    ip('-n', hub, 'link', 'add', `port${host}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('-n', hub, 'link', 'set', `port${host}`, 'master', 'bridge0', 'up');
    ip('-n', name, 'address', 'add', `${addressOf(host)}/24`, 'dev', 'eth0');
    for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
  }

  #rule(host: number, ...rule: string[]): void {
    const [program = '', ...args] = [...this.commandOn(host), 'iptables', ...rule];
    execFileSync(program, args, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

const environment: NodeJS.ProcessEnv = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

function ip(...args: string[]): void {
  execFileSync('ip', args, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
}
