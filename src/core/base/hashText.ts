/** A short fingerprint of a text, to notice that two differ; no protection against anyone who wants them equal. */

const PRIME = 0x01000193;

/** 16 hexadecimal digits: two 32-bit FNV-1a hashes of the UTF-16 code units, from different starts. */
export function hashText(text: string): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, PRIME);
    b = Math.imul(b ^ unit ^ (b >>> 15), PRIME);
  }
  return [a, b].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}
