import { Argument, type Command } from 'commander';
import { EXIT } from '../../core/errors.ts';
import { lintPolicy } from '../policy/lint.ts';
import { lintCalls } from '../policy/lint-calls.ts';
import { lintEndpoints } from '../policy/lint-endpoints.ts';
import type { Finding } from '../policy/lint-finding.ts';
import { PRESETS, type Preset, policyText, presetRules, withForward } from '../policy/preset.ts';
import type { Cli } from './cli.ts';
import { addExposeCommands } from './expose-commands.ts';
import { countOption } from './fleet-options.ts';
import type { Output } from './output.ts';
import { type DeviceFile, list, readDeviceFile, readPolicyFile, readText } from './policy-files.ts';

const printFindings = (out: Output, findings: readonly Finding[]): number => {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  out.json({ v: 1, errors, warnings: findings.length - errors, findings });
  for (const { severity, code, at, message } of findings) out.line(`${severity} ${code} ${at}: ${message}`);
  if (findings.length === 0) out.line('nothing found');
  return errors > 0 ? EXIT.failed : EXIT.ok;
};

interface LintOptions {
  readonly json?: boolean;
  readonly config?: readonly string[];
  readonly internal?: readonly string[];
  readonly cloud?: boolean;
  readonly script?: readonly string[];
}

const lint = async (cli: Cli, file: string, options: LintOptions): Promise<number> => {
  const out = cli.output(options);
  const policy = await readPolicyFile(file);
  if (!policy.ok) return out.fail(policy.fault);
  const devices: DeviceFile[] = [];
  for (const path of options.config ?? []) {
    const read = await readDeviceFile(path);
    if (!read.ok) return out.fail(read.fault);
    devices.push(read.value);
  }
  const calls = [...lintCalls(policy.value.text)];
  for (const path of options.script ?? []) {
    const script = await readText(path);
    if (!script.ok) return out.fail(script.fault);
    calls.push(...lintCalls(script.value).map((finding) => ({ ...finding, at: `${path} ${finding.at}` })));
  }
  const isAsked = options.internal !== undefined || options.config !== undefined;
  const internalUrls = [
    ...(options.internal ?? []),
    ...devices.flatMap(({ endpoints }) => endpoints.map(({ url }) => url)),
  ].filter((url) => url.includes('.internal'));
  return printFindings(out, [
    ...lintPolicy(policy.value, {
      nowMs: cli.clock.wall(),
      internalUrls: isAsked ? internalUrls : null,
      isCloud: options.cloud === true,
    }),
    ...devices.flatMap(({ endpoints, listen }) => lintEndpoints(endpoints, listen)),
    ...calls,
  ]);
};

interface PresetOptions {
  readonly allow: readonly string[];
  readonly caFile?: string;
  readonly provider: string;
  readonly email: readonly string[];
  readonly issuer?: string;
  readonly audience?: string;
  readonly jwksUrl?: string;
  readonly perMinute: number;
  readonly forward?: string;
}

const preset = async (cli: Cli, name: Preset, options: PresetOptions): Promise<number> => {
  const out = cli.output({});
  const ca = options.caFile === undefined ? null : await readText(options.caFile);
  if (ca?.ok === false) return out.fail(ca.fault);
  const rules = presetRules(name, {
    allow: options.allow,
    caPem: ca?.value ?? null,
    provider: options.provider,
    emails: options.email,
    issuer: options.issuer ?? null,
    audience: options.audience ?? null,
    jwksUrl: options.jwksUrl ?? null,
    perMinute: options.perMinute,
  });
  if (!rules.ok) return out.fail(rules.fault);
  const document = options.forward === undefined ? rules.value : withForward(rules.value, options.forward);
  cli.stdout.write(policyText(document));
  return EXIT.ok;
};

export const addPolicyCommands = (program: Command, cli: Cli): void => {
  const policy = program
    .command('policy')
    .description('traffic policies: look at them, make them, apply them');
  policy
    .command('lint')
    .description('find what is wrong with a policy; exit code 1 when there are errors')
    .argument('<file>', 'JSON or YAML')
    .option('--json', 'print JSON')
    .option('--cloud', 'it is for a cloud endpoint, which must end every request')
    .option(
      '--internal <url>',
      'a URL that an agent opens, for the targets of forward-internal; may be repeated',
      list,
      undefined,
    )
    .option(
      '--config <file>',
      "a device's configuration: its endpoints are looked at, too; may be repeated",
      list,
      undefined,
    )
    .option(
      '--script <file>',
      "a script or a page: its calls of ngrok's APIs are looked at, too; may be repeated",
      list,
      undefined,
    )
    .action(cli.action((file: string, options: LintOptions) => lint(cli, file, options)));
  policy
    .command('preset')
    .description('print a ready policy')
    .addArgument(new Argument('<name>', 'which').choices([...PRESETS]))
    .option('--allow <cidr>', 'restrict-ips: an address range; may be repeated', list, [])
    .option('--ca-file <file>', 'mtls: certificate authorities of the clients, PEM')
    .option('--provider <name>', 'oauth: google, github, microsoft, …', 'google')
    .option('--email <address>', 'oauth: who may sign in, an address or @domain; may be repeated', list, [])
    .option('--issuer <url>', 'jwt: who makes the tokens')
    .option('--audience <name>', 'jwt: for whom they are')
    .option('--jwks-url <url>', "jwt: where the issuer's keys are")
    .option('--per-minute <n>', 'rate-limit: requests a minute and address', countOption, 60)
    .option('--forward <url>', 'end with forward-internal to this URL')
    .action(cli.action((name: Preset, options: PresetOptions) => preset(cli, name, options)));
  addExposeCommands(program, policy, cli);
};
