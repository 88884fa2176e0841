import { expect, test } from 'vitest';
import { MUTANTS } from '../fault/mutants/mutants.js';
import { patched, source } from '../fault/mutants/patchedBuild.js';

// A planted bug is a text of the sources and what takes its place. Where the sources have changed the bug must follow,
// or it tests nothing: this says so at once, without the search for it (`npm run test:simulation`).

test.each(MUTANTS)('the planted bug "$name" still finds the text that it changes', ({ patches }) => {
  const texts = new Map<string, string>();
  for (const patch of patches) {
    const before = texts.get(patch.file) ?? source(patch.file);
    const after = patched(before, patch);
    expect(after).not.toBe(before);
    texts.set(patch.file, after);
  }
});
