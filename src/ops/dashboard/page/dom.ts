/** The few things that the page does with the document. Texts are set as text, never as markup. */

/** The element with this id; it is in `index.html`. */
export function element<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found as E;
}

/** A new element with a class and a text. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  text = '',
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== '') made.textContent = text;
  return made;
}

/** Sets a text where it differs: a document that does not change is not laid out again. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Sets a data attribute where it differs. */
export function setData(target: HTMLElement, name: string, value: string): void {
  if (target.dataset[name] !== value) target.dataset[name] = value;
}

/** Fills a definition list; its elements are kept. */
export function setFacts(list: HTMLElement, facts: readonly (readonly [term: string, text: string])[]): void {
  while (list.children.length > facts.length * 2) list.lastElementChild?.remove();
  for (const [i, [term, text]] of facts.entries()) {
    if (list.children.length <= i * 2) list.append(create('dt'), create('dd'));
    setText(list.children[i * 2] as Element, term);
    setText(list.children[i * 2 + 1] as Element, text);
  }
}
