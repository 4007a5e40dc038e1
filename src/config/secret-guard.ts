/** Secrets do not belong into a configuration. Finds ones that got there by mistake, and keeps them off the screen. */
import { type ConfigProblem, joinPath, problem } from './problem.ts';

/** The whole text an ngrok authtoken or API key, or anywhere in it a JWS, a JWE or a PEM private key. */
const SECRET =
  /^\s*[0-9A-Za-z]{20,64}_[0-9A-Za-z]{16,64}\s*$|\beyJ[\w-]{10,}\.[\w-]*\.|-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** True when a text looks like a secret itself. */
export const looksSecret = (text: string): boolean => SECRET.test(text);

/** Every text of a value that looks like a secret, by path. Keys that take paths are where they end up most often. */
export const findSecrets = (
  value: unknown,
  keys: readonly (string | number)[] = [],
): readonly ConfigProblem[] => {
  if (typeof value === 'string') {
    if (!looksSecret(value)) return [];
    return [problem(joinPath(keys), 'looks like a secret itself; give the path of a file that holds it')];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => findSecrets(item, [...keys, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => findSecrets(item, [...keys, key]));
};
