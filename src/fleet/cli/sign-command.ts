/** `sign`: offline, prints the compact JWS. */
import type { Command } from 'commander';
import { EXIT, fault } from '../../core/errors.ts';
import { type EnvelopeType, signEnvelope } from '../../protocol/envelope.ts';
import { isRecord } from '../../protocol/strict-json.ts';
import { checkCommand, checkDesired } from '../../protocol/validate.ts';
import { readSigner } from '../key-files.ts';
import type { Cli } from './cli.ts';
import { type FleetOptions, profileOf } from './fleet-options.ts';
import { readJsonInput } from './read-input.ts';

const KINDS = {
  cmd: { typ: 'lk1-cmd', check: checkCommand },
  desired: { typ: 'lk1-desired', check: checkDesired },
} as const satisfies Record<string, { typ: EnvelopeType; check: unknown }>;

const isKind = (text: string): text is keyof typeof KINDS => Object.hasOwn(KINDS, text);

export const addSignCommand = (program: Command, cli: Cli): void => {
  program
    .command('sign')
    .description('sign a message offline and print it; times and numbers stay as they are in the file')
    .argument('<kind>', 'cmd or desired')
    .argument('<file>', 'JSON file, or - for standard input')
    .option('--profile <file>', 'profile')
    .option('--kid <kid>', 'signing key')
    .option('--key-file <file>', "the signing key's file")
    .option('--json', 'print JSON')
    .action(
      cli.action(async (kind: string, file: string, options: FleetOptions) => {
        const out = cli.output(options);
        if (!isKind(kind)) return out.fail(fault('BAD_ARGS', 'What is signed is cmd or desired.', false));
        const content = await readJsonInput(cli, file);
        if (!content.ok) return out.fail(content.fault);
        const checked = KINDS[kind].check(content.value);
        if (!checked.ok || !isRecord(content.value))
          return out.fail(
            fault('BAD_ARGS', `${file}: ${checked.ok ? 'is no object' : checked.message}.`, false),
          );
        const profile = await profileOf(cli, options);
        if (!profile.ok) return out.fail(profile.fault);
        const { kid, keyFile } = profile.value.sign;
        if (keyFile === '')
          return out.fail(
            fault('BAD_ARGS', 'There is no key to sign with: sign in the profile, or --key-file.', false),
          );
        const signer = await readSigner(keyFile, kid);
        if (!signer.ok) return out.fail(signer.fault);
        const text = await signEnvelope(KINDS[kind].typ, content.value, signer.value);
        out.json({ jws: text });
        out.line(text);
        return EXIT.ok;
      }),
    );
};
