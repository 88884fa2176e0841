/**
 * A real Chromium, told what to do by its DevTools protocol. Not through a test library's pages: those are made to
 * be visible always, and here pages are to be hidden and frozen as a browser does it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const PROGRAM = '/usr/bin/chromium';
const FLAGS = [
  ...['--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking'],
  ...['--no-first-run', '--disable-gpu', '--remote-debugging-port=0', 'about:blank'],
];

/** How long the browser may take to start. */
const START_MS = 40_000;
/** How long the browser may take for one command. What a page computes may take as long as its test. */
const COMMAND_MS = 60_000;

type Params = Readonly<Record<string, unknown>>;
type Answer = { readonly id?: number; readonly result?: unknown; readonly error?: { message: string } };
type Event = {
  readonly method: string;
  readonly sessionId?: string;
  readonly params: Record<string, unknown>;
};

/** Whether there is a Chromium to test with. In CI there must be; elsewhere a line says what is left out. */
export function hasChromium(): boolean {
  if (existsSync(PROGRAM)) return true;
  if (process.env.CI) throw new Error(`${PROGRAM} is not there`);
  console.warn(`skipped: ${PROGRAM} is not there`);
  return false;
}

/** A running browser. */
export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  /** Resolves when its process has ended. */
  readonly ended: Promise<string>;
  readonly #listeners = new Set<(event: Event) => void>();
  #lastId = 0;
  #failure: string | undefined;

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    this.ended = new Promise((resolve) => {
      process.once('exit', (code, signal) => resolve(`Chromium ended (${signal ?? code})`));
    });
    socket.on('message', (data) => this.#onMessage(JSON.parse(String(data)) as Answer | Event));
    socket.on('error', () => {});
    socket.on('close', () => this.#fail('Chromium closed its connection'));
    void this.ended.then((reason) => this.#fail(reason));
  }

  /** Starts one. Another is started where the first says nothing for long: browsers do that now and then. */
  static async launch(): Promise<Chromium> {
    try {
      return await Chromium.#start();
    } catch {
      return Chromium.#start();
    }
  }

  static async #start(): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'pslib-chromium-'));
    const flags = [`--user-data-dir=${profile}`, ...FLAGS];
    const process = spawn(PROGRAM, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
    const late = setTimeout(() => process.kill('SIGKILL'), START_MS);
    let said = '';
    for await (const line of createInterface(process.stderr)) {
      said += `${line}\n`;
      const [, url] = /DevTools listening on (ws:\S+)/.exec(line) ?? [];
      if (url === undefined) continue;
      clearTimeout(late);
      process.stderr.resume();
      const socket = new WebSocket(url, { perMessageDeflate: false });
      await once(socket, 'open');
      return new Chromium(process, profile, socket);
    }
    clearTimeout(late);
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    throw new Error(`Chromium did not start:\n${said}`);
  }

  /** Opens `url` in a window of its own, so that it is visible. Resolves when the page is loaded. */
  async open(url: string): Promise<Tab> {
    const made = await this.send('Target.createTarget', { url: 'about:blank', newWindow: true });
    const { targetId } = made as { targetId: string };
    const attached = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const tab = new Tab(this, targetId, (attached as { sessionId: string }).sessionId);
    await tab.start(url);
    return tab;
  }

  /** One command, to the browser or to a tab's session. */
  send(method: string, params: Params = {}, sessionId?: string): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const giveUp = (): void =>
        this.#onMessage({ id, error: { message: `no answer for ${COMMAND_MS} ms` } });
      const late = method === 'Runtime.evaluate' ? undefined : setTimeout(giveUp, COMMAND_MS);
      this.#pending.set(id, ({ result, error }) => {
        clearTimeout(late);
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      });
      if (this.#failure !== undefined) this.#fail(this.#failure);
      else
        this.#socket.send(
          JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }),
        );
    });
  }

  listen(listener: (event: Event) => void): void {
    this.#listeners.add(listener);
  }

  async close(): Promise<void> {
    this.#socket.terminate();
    this.#process.kill();
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
    await this.ended;
    clearTimeout(late);
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 10 });
  }

  /** It is gone: nothing that is asked is answered any more. */
  #fail(reason: string): void {
    this.#failure ??= reason;
    for (const id of [...this.#pending.keys()]) this.#onMessage({ id, error: { message: this.#failure } });
  }

  #onMessage(message: Answer | Event): void {
    if ('method' in message) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const settle = this.#pending.get(message.id as number);
    this.#pending.delete(message.id as number);
    settle?.(message);
  }
}

/** One page in a window of its own. */
export class Tab {
  readonly #browser: Chromium;
  readonly #targetId: string;
  readonly #sessionId: string;
  /** What the page wrote to its console, and what it threw. */
  readonly said: string[] = [];

  constructor(browser: Chromium, targetId: string, sessionId: string) {
    this.#browser = browser;
    this.#targetId = targetId;
    this.#sessionId = sessionId;
  }

  async start(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#browser.listen((event) => {
        if (event.sessionId !== this.#sessionId) return;
        if (event.method === 'Page.loadEventFired') resolve();
        if (event.method === 'Runtime.consoleAPICalled' || event.method === 'Runtime.exceptionThrown') {
          this.said.push(JSON.stringify(event.params));
        }
      });
    });
    await this.#send('Page.enable');
    await this.#send('Runtime.enable');
    await this.#send('Page.navigate', { url });
    await Promise.race([loaded, this.#browser.ended]);
  }

  /** The value of an expression in the page, awaited. Rejects with what it throws. */
  async evaluate<T>(expression: string): Promise<T> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await this.#send('Runtime.evaluate', params)) as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails === undefined) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }

  /** Nobody sees the page any more. */
  async hide(): Promise<void> {
    await this.#setWindow('minimized');
  }

  async show(): Promise<void> {
    await this.#setWindow('normal');
  }

  /** Stops the page; it must be hidden. */
  async freeze(): Promise<void> {
    await this.#send('Page.setWebLifecycleState', { state: 'frozen' });
  }

  async thaw(): Promise<void> {
    await this.#send('Page.setWebLifecycleState', { state: 'active' });
  }

  async setOffline(offline: boolean): Promise<void> {
    const nothing = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await this.#send('Network.emulateNetworkConditions', { offline, ...nothing });
  }

  /** A picture of the page, `width` CSS pixels wide, as PNG. */
  async photograph(width: number, height: number): Promise<Buffer> {
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.#send('Emulation.setDeviceMetricsOverride', size);
    const { data } = (await this.#send('Page.captureScreenshot', { format: 'png' })) as { data: string };
    return Buffer.from(data, 'base64');
  }

  /** The processes that draw pages. */
  async rendererIds(): Promise<number[]> {
    const { processInfo } = (await this.#browser.send('SystemInfo.getProcessInfo')) as {
      processInfo: readonly { id: number; type: string }[];
    };
    return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
  }

  /** Closes the page, as a click on its cross does. */
  async close(): Promise<void> {
    await this.#browser.send('Target.closeTarget', { targetId: this.#targetId });
  }

  async #setWindow(windowState: string): Promise<void> {
    const window = await this.#browser.send('Browser.getWindowForTarget', { targetId: this.#targetId });
    const { windowId } = window as { windowId: number };
    await this.#browser.send('Browser.setWindowBounds', { windowId, bounds: { windowState } });
  }

  #send(method: string, params: Params = {}): Promise<unknown> {
    return this.#browser.send(method, params, this.#sessionId);
  }
}
