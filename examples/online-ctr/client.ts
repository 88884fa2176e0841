/** The load: users who are shown impressions at a steady rate, and click as the truth has it. */
import { Agent, request } from 'node:http';
import { Latencies } from './latencies.js';
import { Scores } from './scores.js';
import type { Impression } from './truth.js';

/** What a prediction is answered with. */
interface Prediction {
  readonly p: number;
  readonly frozen: number;
  readonly receipt: string;
}

/** How many outcomes are told at once. */
const FEEDBACK_BATCH = 20;
/** Questions that may be open at once; beyond them the load waits, as users would. */
const MAX_OPEN = 200;

/** Sends impressions to the service, and keeps the scores. */
export class Client {
  readonly learning = new Scores();
  readonly frozen = new Scores();
  readonly truth = new Scores();
  readonly latencies = new Latencies();
  sent = 0;
  answered = 0;
  failed = 0;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  readonly #impressions: Iterator<Impression>;
  #outcomes: { receipt: string; clicked: boolean }[] = [];

  constructor(port: number, impressions: Iterator<Impression>) {
    this.#port = port;
    this.#impressions = impressions;
  }

  /** Sends `rate` impressions per second for `seconds`, whether they are answered or not. */
  async send(rate: number, seconds: number): Promise<void> {
    const begin = performance.now();
    const count = rate * seconds;
    const open = new Set<Promise<void>>();
    for (let sent = 0; sent < count; ) {
      const due = Math.min(count, ((performance.now() - begin) * rate) / 1000);
      for (; sent < due && open.size < MAX_OPEN; sent++) {
        const impression = this.#show(this.#impressions.next().value as Impression);
        open.add(impression);
        void impression.finally(() => open.delete(impression));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(open);
  }

  /** Tells the outcomes that have not been told. */
  async flush(): Promise<void> {
    await this.post('/feedback', this.#outcomes.splice(0));
  }

  close(): void {
    this.#agent.destroy();
  }

  async #show({ features, clicked, probability }: Impression): Promise<void> {
    this.sent++;
    const asked = performance.now();
    try {
      const { p, frozen, receipt } = JSON.parse(await this.post('/predict', { features })) as Prediction;
      this.latencies.add(performance.now() - asked);
      this.answered++;
      // Scored with what was served, before anything is learned from the outcome.
      this.learning.add(p, clicked);
      this.frozen.add(frozen, clicked);
      this.truth.add(probability, clicked);
      this.#outcomes.push({ receipt, clicked });
      if (this.#outcomes.length >= FEEDBACK_BATCH) await this.post('/feedback', this.#outcomes.splice(0));
    } catch {
      this.failed++;
    }
  }

  /** Resolves to the answer's body. Rejects unless it is a success. */
  post(path: string, body: unknown): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#port, path, method: 'POST', agent: this.#agent };
      const outgoing = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          if ((response.statusCode ?? 500) < 300) resolve(text);
          else reject(new Error(`${path}: ${response.statusCode} ${text}`));
        });
        response.on('error', reject);
      });
      outgoing.on('error', reject);
      outgoing.end(JSON.stringify(body));
    });
  }
}
