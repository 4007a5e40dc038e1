import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OPS } from '../../../src/protocol/command-schema.ts';
import { DOWN_CAUSES } from '../../../src/protocol/event-schema.ts';
import { parseStrictJson } from '../../../src/protocol/strict-json.ts';
import { EVENT_CLASSES } from '../../../src/protocol/topics.ts';
import {
  checkCommand,
  checkDesired,
  checkEvent,
  checkHealth,
  checkHello,
  checkPresence,
  checkReported,
  checkResult,
} from '../../../src/protocol/validate.ts';

const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
const checks = {
  command: checkCommand,
  desired: checkDesired,
  result: checkResult,
  reported: checkReported,
  health: checkHealth,
  event: checkEvent,
  presence: checkPresence,
  hello: checkHello,
};
/** Sample blocks name their kind after the language. */
const blocks = [...page.matchAll(/^```json ([a-z]+)\n([\s\S]*?)^```$/gm)].map(
  ([, kind = '', text = '']) => [kind, text] as const,
);

describe('the protocol page', () => {
  it.each(Object.keys(checks))('shows a good sample of %s', (kind) => {
    const texts = blocks.filter(([name]) => name === kind).map(([, text]) => text);
    expect(texts.length).toBeGreaterThan(0);
    for (const text of texts) {
      const json = parseStrictJson(text);
      expect(json.ok && checks[kind as keyof typeof checks](json.value)).toMatchObject({ ok: true });
    }
  });

  it('names every operation, event class and cause', () => {
    for (const op of OPS) expect(page).toContain(`| \`${op}\` |`);
    expect(page).toContain(`\`${EVENT_CLASSES.join(' ')}\``);
    expect(page).toContain(`\`${DOWN_CAUSES.join(' ')}\``);
  });
});
