/** What an admin may do from the page. Each action is confirmed first, and its result is said in a sentence. */
import { PsError } from '../../../core/base/errors.js';
import type { ServerReport } from '../../../io/serverReport.js';
import type { Connection } from './connection.js';
import { element, setData, setText } from './dom.js';

type Act = (connection: Connection) => Promise<string>;

/** The forms of the section Control, and evictions. */
export class Controls {
  readonly #connection: () => Connection | undefined;

  /** `connection` is the present one. */
  constructor(connection: () => Connection | undefined) {
    this.#connection = connection;
    this.#onSubmit('rate-form', () => this.#changeRate());
    this.#onSubmit('staleness-form', () => this.#changeStaleness());
    this.#onSubmit('checkpoint-form', () => this.#checkpoint());
    this.#onSubmit('finish-form', () => this.#finish());
  }

  /** Opens the section for those who may, and shows what holds now where nobody is writing. */
  show({ role, stats }: ServerReport): void {
    const isAdmin = role === 'admin';
    element('admin-closed').hidden = isAdmin;
    element('admin-open').hidden = !isAdmin;
    const { consistency, learningRate } = stats;
    element('staleness-form').hidden = consistency.name !== 'ssp';
    for (const [id, value] of [
      ['rate', learningRate === null ? '' : String(Number(learningRate.toPrecision(6)))],
      ['staleness', consistency.name === 'ssp' ? String(consistency.staleness) : ''],
    ] as const) {
      element<HTMLInputElement>(id).placeholder = value;
    }
  }

  /** Asks whether, and evicts. */
  evict(id: string): Promise<void> {
    return this.#act({
      title: `Evict ${id}?`,
      text: 'It leaves the clock table at once and may not come back. A new process under its id may.',
      yes: 'Evict',
      act: async (connection) => {
        const { evicted } = await connection.control('evict', { id });
        return evicted === true ? `${id} is evicted.` : `${id} was not there any more.`;
      },
    });
  }

  async #changeRate(): Promise<void> {
    const input = element<HTMLInputElement>('rate');
    const learningRate = Number(input.value);
    if (input.value.trim() === '' || !(learningRate > 0)) {
      this.#say('bad', 'A learning rate is a number above 0.');
      return;
    }
    await this.#act({
      title: `Learning rate ${learningRate}?`,
      text: `It holds from the next update on, in place of ${input.placeholder} or a schedule. The optimizer's slots stay.`,
      yes: 'Change',
      act: async (connection) => {
        await connection.control('setLearningRate', { learningRate });
        input.value = '';
        return `The learning rate is ${learningRate} now.`;
      },
    });
  }

  async #changeStaleness(): Promise<void> {
    const input = element<HTMLInputElement>('staleness');
    const staleness = Number(input.value);
    if (input.value.trim() === '' || !Number.isSafeInteger(staleness) || staleness < 0) {
      this.#say('bad', 'A staleness is a whole number of clocks, 0 or more.');
      return;
    }
    await this.#act({
      title: `Staleness ${staleness}?`,
      text: `Workers may be ${staleness} clocks ahead of the slowest, instead of ${input.placeholder}.`,
      yes: 'Change',
      act: async (connection) => {
        await connection.control('setConsistency', { consistency: { name: 'ssp', staleness } });
        input.value = '';
        return `The staleness is ${staleness} now.`;
      },
    });
  }

  #checkpoint(): Promise<void> {
    return this.#act({
      title: 'Take a checkpoint?',
      text: 'Training goes on meanwhile.',
      yes: 'Take it',
      act: async (connection) => {
        const { path, version } = await connection.control('checkpoint', {});
        return `Checkpoint of version ${String(version)}: ${String(path)}`;
      },
    });
  }

  #finish(): Promise<void> {
    return this.#act({
      title: 'Finish training?',
      text: 'Every worker ends its run after the step that it is in, also those that connect later.',
      yes: 'Finish',
      act: async (connection) => {
        await connection.control('finish', { reason: 'finished from the dashboard' });
        return 'Every worker is told to finish.';
      },
    });
  }

  async #act(what: { title: string; text: string; yes: string; act: Act }): Promise<void> {
    if (!(await confirmed(what))) return;
    const connection = this.#connection();
    if (connection === undefined) return;
    this.#say('', 'Asking the server …');
    try {
      this.#say('good', await what.act(connection));
    } catch (error) {
      const code = error instanceof PsError ? ` (${error.code})` : '';
      this.#say('bad', `Not done: ${error instanceof Error ? error.message : String(error)}${code}`);
    }
  }

  #say(kind: '' | 'good' | 'bad', text: string): void {
    const outcome = element('outcome');
    setData(outcome, 'kind', kind);
    setText(outcome, text);
  }

  #onSubmit(form: string, act: () => Promise<void>): void {
    element(form).addEventListener('submit', (event) => {
      event.preventDefault();
      void act();
    });
  }
}

/** Asks in a dialog; focus goes back where it was. */
function confirmed({ title, text, yes }: { title: string; text: string; yes: string }): Promise<boolean> {
  const dialog = element<HTMLDialogElement>('confirm');
  setText(element('confirm-title'), title);
  setText(element('confirm-text'), text);
  setText(element('confirm-yes'), yes);
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
