/** Traffic policy files: read once at load, kept as text by name. */
import { parseDocument } from 'yaml';
import { type ConfigProblem, joinPath, problem } from './problem.ts';
import { type ReadFile, readTextFile } from './text-file.ts';

/** Policy texts by name, as the SDK takes them (YAML or JSON). */
export type PolicyTexts = Readonly<Record<string, string>>;

/** Largest policy file, in bytes. */
export const MAX_POLICY_BYTES = 131_072;

/** Null, or what is wrong, beginning with a verb. Aliases are counted, so that a small text cannot grow without end. */
const refuse = (path: string, text: string): string | null => {
  const document = parseDocument(text, { prettyErrors: true, logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined) {
    const at = error.linePos?.[0];
    return `${path} is not YAML or JSON${at ? `: line ${at.line}, column ${at.col}` : ''}`;
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return null;
  } catch {
    return `${path} repeats itself by aliases too often`;
  }
  return `${path} must hold an object with on_http_request, on_tcp_connect or the like`;
};

/** Reads every file of `policies`; problems name the key and the file. */
export const readPolicies = async (
  policies: Readonly<Record<string, string>>,
  readFile: ReadFile,
): Promise<{ readonly texts: PolicyTexts; readonly problems: readonly ConfigProblem[] }> => {
  const texts: Record<string, string> = {};
  const problems: ConfigProblem[] = [];
  for (const [name, path] of Object.entries(policies)) {
    const file = await readTextFile(readFile, path, MAX_POLICY_BYTES);
    const refused = file.ok ? refuse(path, file.text) : file.problem;
    if (refused !== null)
      problems.push(problem(joinPath(['policies', name]), `names a file that will not do: ${refused}`));
    else if (file.ok) texts[name] = file.text;
  }
  return { texts, problems };
};
