// src/core is a function of messages and ticks: it waits for nothing, and reads no clock, no chance and
// nothing of its surroundings. This finds what the type checker and the import rules cannot:
// - async, await, promises, timers, wall time, Math.random, globals of Node and of browsers;
// - in kernels and optimizers also the Math functions whose last bits differ between engines, so that
//   the same pushes give the same bits everywhere.
// It reads names, not types: a name that the file declares itself (`window`, `module`) is not a global.
// Usage: node scripts/checkPurity.mjs [folder of core]
import { join, sep } from 'node:path';
import ts from 'typescript';
import { listSources, parseSource, placeOf, walk } from './sources.mjs';

const core = process.argv[2] ?? join('src', 'core');

const FORBIDDEN_GLOBALS = new Set(
  `Promise PromiseLike AsyncIterable AsyncIterator AsyncGenerator
  setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate queueMicrotask
  requestAnimationFrame requestIdleCallback MessageChannel Date performance Temporal
  console process Buffer global globalThis require module __dirname __filename
  window self document navigator location localStorage fetch crypto
  WebSocket EventTarget AbortController AbortSignal`.split(/\s+/),
);

/** Exactly rounded, or free of rounding: the same bits on every engine. */
const EXACT_MATH = new Set('abs ceil clz32 floor fround imul max min round sign sqrt trunc'.split(' '));
const MATH_CONSTANTS = new Set('E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2'.split(' '));

const failures = [];

/** Whether the identifier is only a member's or a property's name, not a reference. */
function isMemberName(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  const isMember = ts.isClassElement(parent) || ts.isTypeElement(parent);
  return isMember && parent.name === node;
}

/** Whether `node` is a number written out, with or without a minus. */
function isNumber(node) {
  return ts.isNumericLiteral(ts.isPrefixUnaryExpression(node) ? node.operand : node);
}

/** Names that the file binds: variables, parameters, functions, imports. */
function declaredNames(source) {
  const names = new Set();
  walk(source, (node) => {
    const isBinding =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isBindingElement(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isImportSpecifier(node);
    if (isBinding && node.name !== undefined && ts.isIdentifier(node.name)) names.add(node.name.text);
  });
  return names;
}

/** `Date` as a type, or in `new Date(ms)`: a value; nobody asks what time it is. */
function isGivenDate(node) {
  const { parent } = node;
  if (node.text !== 'Date') return false;
  return ts.isTypeReferenceNode(parent) || (ts.isNewExpression(parent) && parent.arguments?.length === 1);
}

/** Whether `node` is a use of one of the forbidden globals. */
function isForbiddenGlobal(node, declared) {
  if (!ts.isIdentifier(node) || !FORBIDDEN_GLOBALS.has(node.text)) return false;
  return !isMemberName(node) && !declared.has(node.text) && !isGivenDate(node);
}

/** The names taken from a use of `Math`: `Math.name` or `const { name } = Math`; undefined otherwise. */
function namesFromMath(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.expression === node) return [parent.name.text];
  const isTakenApart = ts.isVariableDeclaration(parent) && ts.isObjectBindingPattern(parent.name);
  if (!isTakenApart || parent.initializer !== node) return undefined;
  return parent.name.elements.map((each) => (each.propertyName ?? each.name).getText());
}

/** What a use of `Math` reaches that is not allowed, or undefined. */
function impureMath(node, exact) {
  const names = namesFromMath(node);
  if (names === undefined) return 'Math other than by name';
  if (names.includes('random')) return 'Math.random';
  const inexact = names.find((name) => !EXACT_MATH.has(name) && !MATH_CONSTANTS.has(name));
  return exact && inexact !== undefined ? `Math.${inexact} (engines differ)` : undefined;
}

/** The reason why `node` may not stand in core, or undefined. `exact`: in kernels and optimizers. */
function impurity(node, declared, exact) {
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async';
  if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)) return 'await';
  if (node.kind === ts.SyntaxKind.ImportKeyword && ts.isCallExpression(node.parent)) return 'import()';
  if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) return 'import.meta';
  if (isForbiddenGlobal(node, declared)) return node.text;
  if (ts.isIdentifier(node)) {
    if (/^(localeCompare|toLocale.*String)$/.test(node.text)) return node.text;
    if (node.text === 'Math') return impureMath(node, exact);
  }
  if (exact && ts.isBinaryExpression(node) && /^\*\*=?$/.test(node.operatorToken.getText())) {
    if (!isNumber(node.left) || !isNumber(node.right)) return '** (engines differ)';
  }
  return undefined;
}

const exactFolders = ['kernels', 'optim'].map((folder) => join(core, folder) + sep);
const files = listSources(core);
for (const path of files) {
  const source = parseSource(path);
  const exact = exactFolders.some((folder) => path.startsWith(folder));
  const declared = declaredNames(source);
  walk(source, (node) => {
    const reason = impurity(node, declared, exact);
    if (reason !== undefined) failures.push(`${placeOf(source, node)} uses ${reason}`);
  });
}

for (const failure of failures) console.error(failure);
console.log(`${files.length} files`);
process.exitCode = failures.length > 0 ? 1 : 0;
