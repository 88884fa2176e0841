/**
 * One pull from the shards that hold its tensors, each its part of the same arrays. Every shard answers with one
 * version of its own. Whether there is anything newer is asked of each; as soon as one shard has, the others are
 * asked for what they have, newer or not, since the caller gets whole tensors; of a copy that the caller keeps, for
 * what it lacks.
 */
import { PsError } from '../../base/errors.js';
import { holdsAnyOf, slicesOf } from '../../partition/slices.js';
import type { Catalogue, CatalogueEntry } from '../../tensor/catalogue.js';
import type { PullAnswer, PullCommand, RequestValue } from '../events.js';
import { errorAt } from './jointRequest.js';
import type { Member, MemberListener, Members } from './members.js';
import type { VersionsOfShards } from './versionsOfShards.js';

/** What a group's pull works with. */
export interface GroupPullParts {
  readonly members: Members;
  /** The whole model. */
  readonly catalogue: Catalogue;
  readonly versions: VersionsOfShards;
  readonly done: (answer: PullAnswer) => void;
  readonly failed: (error: PsError) => void;
}

/** A pull that is not answered yet. */
export class GroupPull implements MemberListener {
  readonly #parts: GroupPullParts;
  readonly #command: PullCommand;
  readonly #arrays: readonly Float32Array[];
  readonly #entries: readonly CatalogueEntry[];
  readonly #known: readonly number[] | undefined;
  /** The caller keeps what it has. */
  readonly #isCopy: boolean;
  readonly #open = new Map<Member, number>();
  readonly #answers = new Map<Member, PullAnswer>();
  #hasNews: boolean;
  #hasEnded = false;

  constructor(command: PullCommand, parts: GroupPullParts) {
    this.#command = command;
    this.#parts = parts;
    this.#entries = parts.catalogue.select(command.tensors).entries;
    this.#arrays = destinationsOf(command, this.#entries);
    const { ifNewerThan, copyOf } = command;
    this.#isCopy = copyOf !== undefined;
    this.#known = ifNewerThan === undefined ? undefined : parts.versions.find(ifNewerThan);
    this.#hasNews = copyOf === undefined ? this.#known === undefined : copyOf.length === 0;
  }

  begin(): void {
    const { all } = this.#parts.members;
    const concerned = all.filter(({ core }) => holdsAnyOf(core.catalogue as Catalogue, this.#entries));
    // A selection without elements: any shard can answer for it.
    const asked = concerned.length === 0 ? all.slice(0, 1) : concerned;
    for (const member of asked) this.#open.set(member, 0);
    for (const member of asked) this.#ask(member, this.#hasNews ? undefined : this.#known?.[member.server]);
  }

  /** The caller gives it up. */
  cancel(error: PsError): void {
    this.#fail(error);
  }

  settled(member: Member, value: RequestValue): void {
    const answer = value as PullAnswer;
    this.#open.delete(member);
    if (answer.arrays === undefined && this.#hasNews && !this.#isCopy) {
      this.#ask(member, undefined);
      return;
    }
    this.#answers.set(member, answer);
    if (answer.arrays !== undefined && !this.#hasNews) this.#askAll();
    if (this.#open.size === 0) this.#end();
  }

  failed(member: Member, error: PsError): void {
    this.#open.delete(member);
    this.#fail(errorAt(member, error, this.#parts.members.all.length));
  }

  /** One shard has something newer. */
  #askAll(): void {
    this.#hasNews = true;
    // Those that have said so still hold what the copy has of them.
    const unchanged = this.#isCopy ? [] : [...this.#answers].filter(([, { arrays }]) => arrays === undefined);
    for (const [member] of unchanged) this.#answers.delete(member);
    const waiting = this.#command.wait ? [...this.#open] : [];
    const error = new PsError('PS_ABORTED', 'another shard has something newer');
    for (const [, request] of waiting) this.#parts.members.forget(request, error);
    for (const [member] of [...unchanged, ...waiting]) this.#ask(member, undefined);
  }

  #ask(member: Member, ifNewerThan: number | undefined): void {
    if (this.#hasEnded) return;
    this.#open.set(member, 0);
    const into = slicesOf(member.core.catalogue as Catalogue, this.#entries, this.#arrays);
    const copyOf = this.#command.copyOf && [this.#command.copyOf[member.server]];
    const wait = this.#command.wait && !this.#hasNews;
    const command = { ...this.#command, into, ifNewerThan, copyOf, wait };
    const request = this.#parts.members.ask(member, command, this);
    if (this.#open.has(member)) this.#open.set(member, request);
  }

  #fail(error: PsError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const request of [...this.#open.values()]) this.#parts.members.forget(request, error);
    this.#parts.failed(error);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const answers = [...this.#answers.values()];
    const version = Math.min(...answers.map((each) => each.version));
    const byServer = this.#parts.members.all.map((member) => this.#answers.get(member));
    this.#parts.versions.add(
      version,
      byServer.map((answer) => answer?.version),
    );
    this.#parts.done({
      arrays: this.#hasNews ? this.#arrays : undefined,
      changed: this.#isCopy ? this.#changed() : undefined,
      version,
      pulled: byServer.map((answer) => answer?.pulled[0]),
      clock: Math.min(...answers.map((each) => each.clock)),
      minClock: Math.min(...answers.map((each) => each.minClock)),
      bytes: answers.reduce((sum, each) => sum + each.bytes, 0),
    });
  }

  /** Tensors of which any shard's answer brought something. */
  #changed(): readonly number[] {
    const changed = new Set<number>();
    for (const [{ core }, { arrays, changed: some }] of this.#answers) {
      const { entries } = core.catalogue as Catalogue;
      const isHeld = (i: number): boolean =>
        (entries[(this.#entries[i] as CatalogueEntry).index]?.length ?? 0) > 0;
      const all = this.#entries.map((_, i) => i);
      for (const i of arrays === undefined ? [] : (some ?? all.filter(isHeld))) changed.add(i);
    }
    return [...changed].sort((a, b) => a - b);
  }
}

/** The caller's arrays, or new ones that stand one behind the other. */
function destinationsOf({ into }: PullCommand, entries: readonly CatalogueEntry[]): Float32Array[] {
  const length = entries.reduce((sum, entry) => sum + entry.length, 0);
  const all = into === undefined ? new Float32Array(length) : undefined;
  let at = 0;
  return entries.map((entry, i) => {
    const own = all?.subarray(at, at + entry.length) ?? into?.[i] ?? new Float32Array(entry.length);
    at += entry.length;
    return own;
  });
}
