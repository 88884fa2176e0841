// Files and functions of src stay small enough to read: a file has at most 350 lines, a function 60
// (a warning) and never more than 80 (a failure). Lines of comment and blank lines count.
// Usage: node scripts/checkSizes.mjs [folder]
import ts from 'typescript';
import { listSources, parseSource, placeOf, walk } from './sources.mjs';

const MAX_FILE_LINES = 350;
const USUAL_FUNCTION_LINES = 60;
const MAX_FUNCTION_LINES = 80;

const failures = [];
const warnings = [];
let largest = { path: 'none', lines: 0 };

/** The name a reader knows a function by. */
function nameOf(node, source) {
  if (node.name !== undefined) return node.name.getText(source);
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name.getText(source);
  return ts.isConstructorDeclaration(node) ? 'constructor' : 'a function';
}

function checkFunction(node, source) {
  const first = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
  const last = source.getLineAndCharacterOfPosition(node.end).line;
  const lines = last - first + 1;
  if (lines <= USUAL_FUNCTION_LINES) return;
  const text = `${placeOf(source, node)} ${nameOf(node, source)} has ${lines} lines`;
  if (lines > MAX_FUNCTION_LINES) failures.push(`${text}, at most ${MAX_FUNCTION_LINES}`);
  else warnings.push(`${text}, better ${USUAL_FUNCTION_LINES}`);
}

for (const path of listSources(process.argv[2] ?? 'src')) {
  const source = parseSource(path);
  const lines = source.text.replace(/\n$/, '').split('\n').length;
  if (lines > largest.lines) largest = { path, lines };
  if (lines > MAX_FILE_LINES) failures.push(`${path} has ${lines} lines, at most ${MAX_FILE_LINES}`);
  walk(source, (node) => {
    if (ts.isFunctionLike(node) && node.body !== undefined) checkFunction(node, source);
  });
}

for (const warning of warnings) console.log(`warning: ${warning}`);
for (const failure of failures) console.error(failure);
console.log(`largest file: ${largest.path}, ${largest.lines} lines`);
process.exitCode = failures.length > 0 ? 1 : 0;
