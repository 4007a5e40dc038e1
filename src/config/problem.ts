/** What is wrong with a configuration, as values: nothing is printed before everything has been looked at. */

/** One mistake. `message` begins with a verb, so that `path` can stand before it, and never holds a secret. */
export interface ConfigProblem {
  /** Like `endpoints[2].upstream`; empty when it is about the whole. */
  readonly path: string;
  readonly message: string;
  /** The file or the environment variable at fault; filled in by `loadConfig` where a check cannot know. */
  readonly source?: string;
}

export const problem = (path: string, message: string): ConfigProblem => ({ path, message });

/** Joins keys the way a person would point at them: `endpoints[2].upstream`. */
export const joinPath = (keys: readonly (string | number)[]): string =>
  keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`;
    if (/^[\w-]{1,64}$/.test(key)) return path === '' ? key : `${path}.${key}`;
    return `${path}[${JSON.stringify(key.slice(0, 64))}]`;
  }, '');

/** True when `path` is `root` or lies below it. */
export const isWithin = (path: string, root: string): boolean =>
  path === root || (path.startsWith(root) && (path[root.length] === '.' || path[root.length] === '['));

/** One line for people: `SOURCE: PATH MESSAGE`. */
export const formatProblem = ({ path, message, source }: ConfigProblem): string =>
  `${source === undefined ? '' : `${source}: `}${path === '' ? '' : `${path} `}${message}`;
