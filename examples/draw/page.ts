/**
 * The page: a reader watches the parameters and puts each version into the page's own copy of the model, which then
 * answers for the drawing and is measured on the unseen digits. At a click the tab trains as well, with a worker of
 * its own, on another copy.
 */
import * as tf from '@tensorflow/tfjs';
import { Worker } from 'pslib/worker';
import { makeDigitsModel, probabilities } from '../tfjs/model.js';
import { drawCurve, drawPixels, type Point, setUpDrawing } from './canvas.js';
import { pixelsOf } from './pixels.js';
import { LEARNING_RATE, REST_MS } from './settings.js';

const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/pslib`;
const $ = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E;
const drawing = $<HTMLCanvasElement>('drawing');

/** Some digits, as the server sends them. */
interface Digits {
  readonly xs: Float32Array;
  readonly ys: Uint8Array;
}

await tf.setBackend('cpu');
const { model, training } = makeDigitsModel(LEARNING_RATE);
const unseen = await fetchDigits('test');
const bars = Array.from({ length: 10 }, (_, digit) => addBar(digit));
const curve: Point[] = [];
/** What the network is asked about: the drawing, or one of the unseen digits. */
let asked: Float32Array | undefined;

setUpDrawing(drawing, () => ask(pixelsOf(drawing)));
$('clear').onclick = () => {
  clear();
  ask(undefined);
};
$('example').onclick = () => {
  const i = Math.floor(Math.random() * unseen.ys.length);
  const pixels = unseen.xs.subarray(64 * i, 64 * (i + 1));
  clear();
  drawPixels(drawing, pixels);
  ask(pixels);
};
$('again').onclick = async () => {
  await fetch('/again', { method: 'POST' });
  curve.length = 0;
};
$('train').onclick = () => toggleTraining();
await follow();

/** Keeps the page's model as fresh as the server's, until the page is gone. */
async function follow(): Promise<void> {
  const reader = new Worker(url, { readOnly: true });
  reader.on('open', () => say('connected'));
  reader.on('reconnecting', ({ error }) => say(error.message));
  try {
    for await (const snapshot of reader.watch(undefined, { minIntervalMs: 200 })) {
      training.load(snapshot);
      const accuracy = accuracyOf(unseen);
      $('version').textContent = snapshot.version.toLocaleString('en');
      $('accuracy').textContent = `${(100 * accuracy).toFixed(1)} %`;
      curve.push({ time: performance.now(), value: accuracy });
      drawCurve($('curve'), curve);
      answer();
    }
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
}

function ask(pixels: Float32Array | undefined): void {
  asked = pixels;
  answer();
}

/** Shows what the network thinks of what it is asked. */
function answer(): void {
  const shares = asked === undefined ? undefined : probabilities(model, asked);
  drawPixels($('seen'), asked);
  for (const [digit, show] of bars.entries()) show(shares?.[digit]);
  $('digit').textContent = shares === undefined ? '?' : `${shares.indexOf(Math.max(...shares))}`;
}

function accuracyOf({ xs, ys }: Digits): number {
  return tf.tidy(() => {
    const outputs = model.predict(tf.tensor2d(xs, [ys.length, 64])) as tf.Tensor;
    const isRight = outputs.argMax(-1).equal(tf.tensor1d(ys, 'int32'));
    return isRight.mean().dataSync()[0] as number;
  });
}

let stop: AbortController | undefined;

/** Begins or ends this tab's own training. */
async function toggleTraining(): Promise<void> {
  const button = $('train');
  if (stop !== undefined) {
    stop.abort();
    return;
  }
  stop = new AbortController();
  button.setAttribute('aria-pressed', 'true');
  const worker = new Worker(url);
  worker.on('step', ({ step }) => {
    $('steps').textContent = (step + 1).toLocaleString('en');
  });
  try {
    const { gradientFn } = makeDigitsModel(LEARNING_RATE).training;
    const data = batches(await fetchDigits('training'));
    await worker.run(gradientFn, { data, signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted) say(error instanceof Error ? error.message : String(error));
  } finally {
    stop = undefined;
    button.setAttribute('aria-pressed', 'false');
    await worker.close();
  }
}

/** Random batches without end, with a rest after each. */
async function* batches({ xs, ys }: Digits): AsyncGenerator<Digits> {
  for (;;) {
    const chosen = Array.from({ length: 32 }, () => Math.floor(Math.random() * ys.length));
    const images = new Float32Array(32 * 64);
    chosen.forEach((from, to) => {
      images.set(xs.subarray(64 * from, 64 * (from + 1)), 64 * to);
    });
    yield { xs: images, ys: Uint8Array.from(chosen, (i) => ys[i] as number) };
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
}

async function fetchDigits(which: 'test' | 'training'): Promise<Digits> {
  const { pixels, labels } = (await (await fetch(`/digits/${which}`)).json()) as Record<string, number[]>;
  return {
    xs: Float32Array.from(pixels ?? [], (darkness) => darkness / 16),
    ys: Uint8Array.from(labels ?? []),
  };
}

/** Adds the bar of `digit`; returns what shows its share. */
function addBar(digit: number): (share: number | undefined) => void {
  const bar = document.createElement('div');
  bar.className = 'bar';
  bar.innerHTML = `<span>${digit}</span><i><b></b></i><span></span>`;
  $('bars').append(bar);
  const [fill, text] = [bar.querySelector('b'), bar.lastElementChild];
  return (share) => {
    if (fill !== null) fill.style.width = `${100 * (share ?? 0)}%`;
    if (text !== null) text.textContent = share === undefined ? '' : `${(100 * share).toFixed(0)} %`;
  };
}

function clear(): void {
  drawing.getContext('2d')?.clearRect(0, 0, drawing.width, drawing.height);
}

function say(text: string): void {
  $('status').textContent = text;
}
