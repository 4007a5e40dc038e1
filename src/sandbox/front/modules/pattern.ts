import { refuse } from '../refused-bind.ts';

/** A regular expression as ngrok takes it; `(?i)` at the start ignores case. Refuses one that does not parse. */
export const compilePattern = (source: string): RegExp => {
  const ignoresCase = source.startsWith('(?i)');
  try {
    return new RegExp(ignoresCase ? source.slice(4) : source, ignoresCase ? 'i' : '');
  } catch {
    return refuse(`${source} is not a regular expression.`);
  }
};
