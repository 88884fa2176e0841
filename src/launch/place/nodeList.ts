/**
 * Slurm's short forms of lists, written out: node names (`n[1-3,07],login` is n1, n2, n3, n07, login) and
 * tasks per node (`2(x3),1` is 2, 2, 2, 1). What `scontrol show hostnames` does, without asking it.
 */
import { describe, type PsError } from '../../core/base/errors.js';
import { environmentError, MAX_PROCESSES } from './variables.js';

/** The names in `text`, in its order. Throws `PS_ENVIRONMENT` that names `variable` if it is no list of nodes. */
export function expandNodeList(variable: string, text: string): string[] {
  const names = splitOutside(text).flatMap((item) => expandItem(item, () => malformed(variable, text)));
  if (names.length > MAX_PROCESSES) throw tooMany(variable);
  return names;
}

/** The counts in `text`, one for each node. Throws `PS_ENVIRONMENT` that names `variable`. */
export function expandTaskCounts(variable: string, text: string): number[] {
  const counts: number[] = [];
  for (const item of text.split(',')) {
    const [, tasks, repeat = '1'] = /^(\d+)(?:\(x(\d+)\))?$/.exec(item.trim()) ?? [];
    if (tasks === undefined) throw malformed(variable, text);
    if (Number(repeat) > MAX_PROCESSES - counts.length) throw tooMany(variable);
    for (let i = 0; i < Number(repeat); i++) counts.push(Number(tasks));
  }
  return counts;
}

/** Items between those commas that stand in no bracket. */
function splitOutside(text: string): string[] {
  return text.split(/,(?![^[]*\])/).map((item) => item.trim());
}

/** One item: text with any number of bracketed sets of numbers; the last set counts fastest. */
function expandItem(item: string, fail: () => PsError): string[] {
  if (!/^[^[\],\s]*(\[[0-9,-]+\][^[\],\s]*)*$/.test(item) || item === '') throw fail();
  let names = [''];
  for (const part of item.split(/(\[[^\]]*\])/)) {
    const ends = part.startsWith('[') ? numbersOf(part.slice(1, -1), fail) : [part];
    if (names.length * ends.length > MAX_PROCESSES) throw fail();
    names = names.flatMap((name) => ends.map((end) => name + end));
  }
  return names;
}

/** `1-3,07` as 1, 2, 3, 07: a number keeps the width in which its range begins. */
function numbersOf(text: string, fail: () => PsError): string[] {
  return text.split(',').flatMap((range) => {
    const [, first, last = first] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(range) ?? [];
    if (first === undefined || last === undefined) throw fail();
    const count = Number(last) - Number(first) + 1;
    if (count < 1 || count > MAX_PROCESSES) throw fail();
    return Array.from({ length: count }, (_, i) => String(Number(first) + i).padStart(first.length, '0'));
  });
}

function malformed(variable: string, text: string): PsError {
  return environmentError(variable, `${variable} must be a list as Slurm writes it, got ${describe(text)}`);
}

function tooMany(variable: string): PsError {
  return environmentError(variable, `${variable} stands for more than ${MAX_PROCESSES} entries`);
}
