/**
 * Uses the app as its customers do, to show that predictions, chat and training share one port.
 * Throws when an answer is wrong, so that the example can be run as a test.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { usualMinutes } from './deliveries.js';

const order = { kilometres: 4, items: 6 };
const NEAR_MINUTES = 0.5;
const PATIENCE_MS = 30_000;

/** Asks until the prediction is near the truth, then writes to the chat. */
export async function showApp(port: number): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const usual = usualMinutes(order);
  const url = `http://127.0.0.1:${port}/predict`;
  const get = () =>
    minutesOf(fetch(`${url}?kilometres=${order.kilometres}&items=${order.items}`, { signal }));

  const first = await get();
  let now = first;
  let requests = 1;
  while (Math.abs(now - usual) > NEAR_MINUTES) {
    now = await get();
    requests += 1;
  }
  console.log(
    `GET  /predict  ${first.toFixed(1)} minutes at first, ${now.toFixed(1)} after ${requests} requests; usual: ${usual}`,
  );

  const posted = await minutesOf(fetch(url, { method: 'POST', body: JSON.stringify(order), signal }));
  console.log(`POST /predict  ${posted.toFixed(1)} minutes`);

  const customer = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  await once(customer, 'open', { signal });
  customer.send('Is my pizza near?');
  const [echo] = await once(customer, 'message', { signal });
  console.log(`/chat          ${echo}`);
  customer.close();
  await once(customer, 'close', { signal });
}

async function minutesOf(response: Promise<Response>): Promise<number> {
  const answer = await response;
  const body = (await answer.json()) as { minutes: number };
  if (!answer.ok) throw new Error(`the app answered ${answer.status}: ${JSON.stringify(body)}`);
  return body.minutes;
}
