import { readFile } from 'node:fs/promises';
import { parseJsonText } from '../../config/json-text.ts';
import { readTextFile } from '../../config/text-file.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import type { Cli } from './cli.ts';

const MAX_BYTES = 65_536;

/** Reads a JSON file, or standard input for `-`. `BAD_ARGS` names the file, the line and the column. */
export const readJsonInput = async (cli: Pick<Cli, 'readStdin'>, path: string): Promise<Result<unknown>> => {
  const isStdin = path === '-';
  const name = isStdin ? 'standard input' : path;
  const text = await readTextFile(isStdin ? cli.readStdin : readFile, name, MAX_BYTES);
  if (!text.ok) return failed(fault('BAD_ARGS', `${text.problem}.`, false));
  const json = parseJsonText(text.text);
  return json.ok
    ? ok(json.value)
    : failed(
        fault(
          'BAD_ARGS',
          `${name} is not JSON: line ${json.line}, column ${json.column}: ${json.problem}.`,
          false,
        ),
      );
};
