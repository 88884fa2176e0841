// Which property names the file for pages may shorten: those that pslib's own sources declare and nobody else can meet.
// Kept are, by name, wherever it occurs:
// - what the public types of `src/workerEntry.ts` reach: options, results, events, methods;
// - what the language, the browser and eventemitter3 declare;
// - every word of a string in the sources: fields on the wire, names that are looked up;
// - what stands in an object literal whose type does not declare it: details of errors, JSON.
import { join } from 'node:path';
import ts from 'typescript';
import { walk } from './sources.mjs';

const FOREIGN = /[/\\](typescript[/\\]lib[/\\]lib\.|eventemitter3[/\\])/;

/** The names, sorted. `root`: the folder of the repository. */
export function privateNames(root) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const entry = join(root, 'src', 'workerEntry.ts');
  const program = ts.createProgram([entry], { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const isOurs = (source) => source.fileName.startsWith(join(root, 'src').replaceAll('\\', '/'));
  const sources = program.getSourceFiles();
  const declared = new Set();
  const kept = publicNames(checker, program.getSourceFile(entry), isOurs);
  for (const source of sources) {
    if (isOurs(source)) walk(source, (node) => look(node, checker, declared, kept));
    else if (FOREIGN.test(source.fileName)) walk(source, (node) => addMember(node, kept));
  }
  return [...declared].filter((name) => !kept.has(name)).sort();
}

function addMember(node, names) {
  const isMember = ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElement(node);
  const isParameter = ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent);
  if ((isMember || isParameter) && node.name !== undefined && ts.isIdentifier(node.name))
    names.add(node.name.text);
}

function look(node, checker, declared, kept) {
  addMember(node, declared);
  if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
    if (/^\w+$|\w:\w/.test(node.text)) for (const word of node.text.match(/\w+/g) ?? []) kept.add(word);
  }
  if (!ts.isObjectLiteralExpression(node)) return;
  const type = checker.getContextualType(node);
  for (const { name } of node.properties) {
    if (name === undefined || !ts.isIdentifier(name)) continue;
    if (type === undefined || !declares(type, name.text)) kept.add(name.text);
  }
}

/** Whether `type`, or one of those that it is a union of, has a property of that name written out. */
function declares(type, name) {
  if (type.isUnion()) return type.types.some((each) => declares(each, name));
  return type.getProperty(name) !== undefined;
}

/** The names that the types of what `entry` exports hold, however deep; bodies and private members are passed over. */
function publicNames(checker, entry, isOurs) {
  const names = new Set();
  const seen = new Set();
  const visitSymbol = (symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (seen.has(target)) return;
    seen.add(target);
    for (const each of target.declarations ?? []) if (isOurs(each.getSourceFile())) visit(each);
  };
  const visit = (node) => {
    if (ts.isBlock(node) || ts.isPrivateIdentifier(node.name ?? node)) return;
    if (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) return;
    addMember(node, names);
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      if (symbol !== undefined) visitSymbol(symbol);
    }
    ts.forEachChild(node, visit);
  };
  for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(entry))) visitSymbol(symbol);
  return names;
}
