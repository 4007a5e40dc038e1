/** `enroll`: a credential for a device and the bundle that brings it there; `--confirm` pins a device afterwards. */
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, failed, fault, ok, type Result } from '../../core/errors.ts';
import { deviceFingerprint } from '../../protocol/device-key.ts';
import { isRecord } from '../../protocol/strict-json.ts';
import { readSecret } from '../../vault/secret-file.ts';
import { equals } from '../api/index.ts';
import { descriptionOf, formatTag, heldBy } from '../credential-tag.ts';
import type { PinnedKey } from '../device-book.ts';
import { MAX_PASSWORD_BYTES, MIN_PASSPHRASE } from '../enroll/bundle.ts';
import { enrollDevice, type Protection } from '../enroll/enroll.ts';
import { openMintNote } from '../enroll/mint-note.ts';
import { aclFor, prepareBundle } from '../enroll/prepare-bundle.ts';
import { keyFromHello, pinDevice, readDeviceKeyFile } from '../pin-device.ts';
import { readHello } from '../read-device.ts';
import { userName } from '../service-user.ts';
import { findSite } from '../site/site-record.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { deviceArgument, type FleetOptions, withFleetLink, withFleetOptions } from './fleet-options.ts';
import type { Output } from './output.ts';
import { readJsonInput } from './read-input.ts';
import { type Desk, deskOf } from './with-fleet.ts';

interface EnrollCliOptions extends FleetOptions, ApiOptions {
  readonly site?: string;
  readonly siteUser?: boolean;
  readonly config?: string;
  readonly acl?: readonly string[];
  readonly deviceKey?: string;
  readonly passphraseFile?: string;
  readonly out?: string;
  readonly mqttPasswordFile?: string;
  readonly replace?: boolean;
  readonly confirm?: string;
}

type Json = Readonly<Record<string, unknown>>;

const bad = (message: string) => failed(fault('BAD_ARGS', message, false));

const checkWords = (options: EnrollCliOptions): Result<void> => {
  if (options.confirm !== undefined)
    return options.deviceKey === undefined &&
      options.passphraseFile === undefined &&
      options.out === undefined
      ? ok(undefined)
      : bad('--confirm pins a device that has its bundle already; it goes with nothing else.');
  if (options.out === undefined) return bad('Where does the bundle go: --out FILE.');
  if ((options.deviceKey === undefined) === (options.passphraseFile === undefined))
    return bad('Give --device-key FILE (from lockkeeperd --init), or --passphrase-file FILE.');
  if (options.siteUser === true && options.site === undefined) return bad('--site-user goes with --site.');
  return ok(undefined);
};

const readTemplate = async (cli: Cli, path: string | undefined): Promise<Result<Json | null>> => {
  if (path === undefined) return ok(null);
  const json = await readJsonInput(cli, path);
  if (!json.ok) return json;
  return isRecord(json.value) ? ok(json.value) : bad(`${path} must hold a JSON object.`);
};

const protectionOf = async (
  cli: Cli,
  out: Output,
  desk: Desk,
  device: string,
  options: EnrollCliOptions,
): Promise<Result<Protection>> => {
  if (options.deviceKey !== undefined) {
    const key = await readDeviceKeyFile(options.deviceKey, device);
    if (!key.ok) return key;
    const pinned = await pinDevice(desk.book, device, key.value, options.replace === true);
    return pinned.ok ? ok({ kind: 'sealed', key: pinned.value }) : pinned;
  }
  const secret = await readSecret(options.passphraseFile ?? '', cli.env);
  if (!secret.ok) return secret;
  if (secret.value.warning !== undefined) out.note(secret.value.warning);
  const { text } = secret.value;
  return text.length < MIN_PASSPHRASE
    ? bad(`The passphrase must have at least ${MIN_PASSPHRASE} characters.`)
    : ok({ kind: 'locked', passphrase: text });
};

/** Pins the key of a device that was read out at the device, here and in its credential. */
const confirm = async (
  out: Output,
  desk: Desk,
  device: string,
  options: EnrollCliOptions,
): Promise<number> => {
  const { api, tenant, book, audit, profile } = desk;
  return withFleetLink(profile, out, options.timeout ?? 15, async (link) => {
    const key = await keyFromHello(await readHello(link, device), device, options.confirm ?? '');
    if (!key.ok) return out.fail(key.fault);
    const pinned = await pinDevice(book, device, key.value, options.replace === true);
    if (!pinned.ok) return out.fail(pinned.fault);
    const pin: PinnedKey = pinned.value;
    const listed = await api.credentials.list({
      filter: equals('description', descriptionOf(tenant, device)),
    });
    if (!listed.ok) return out.fail(listed.fault);
    for (const { id, tag } of heldBy(tenant, listed.value)) {
      if (tag.pin?.x === pin.x) continue;
      const changed = await api.credentials.update(id, { metadata: formatTag({ ...tag, pin }) });
      if (!changed.ok) return out.fail(changed.fault);
    }
    await audit.write({ what: 'pin', device });
    const fingerprint = await deviceFingerprint(pin.x);
    out.json({ v: 1, device, kid: pin.kid, fingerprint });
    out.line(`${device}: pinned ${pin.kid} ${fingerprint}; tokens can be sealed to it`);
    return EXIT.ok;
  });
};

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export const addEnrollCommand = (program: Command, cli: Cli): void => {
  withApiOptions(
    withFleetOptions(
      program
        .command('enroll')
        .description('make a credential for a device, and the bundle that `lockkeeper install` takes there')
        .argument('<device>', 'device id', deviceArgument),
    ),
  )
    .option('--out <file>', 'where the bundle goes (0600)')
    .option('--device-key <file>', 'what lockkeeperd --init printed on the box: the token is sealed to it')
    .option(
      '--passphrase-file <file>',
      'file with the passphrase that locks the bundle, where there is no key yet',
    )
    .option(
      '--confirm <fingerprint>',
      'pin the key that the device publishes, as `lockkeeper status` shows it there',
    )
    .option('--config <file>', 'configuration of the device, a template')
    .option('--site <name>', 'the site it belongs to: its default ACL and policy')
    .option('--site-user', "the site's service user owns the token, instead of one of the device's own")
    .option(
      '--acl <rule>',
      'what the token may bind; may be repeated (default: exactly its endpoints)',
      collect,
    )
    .option('--mqtt-password-file <file>', "the device's password at the broker")
    .option('--replace', 'the box is new: make another credential and delete the old one')
    .action(
      cli.action(async (device: string, options: EnrollCliOptions) => {
        const out = cli.output(options);
        const words = checkWords(options);
        if (!words.ok) return out.fail(words.fault);
        const opened = await deskOf(cli, out, options);
        if (!opened.ok) return out.fail(opened.fault);
        const desk = opened.value;
        if (options.confirm !== undefined) return confirm(out, desk, device, options);

        const site = options.site === undefined ? null : await findSite(desk.api, desk.tenant, options.site);
        if (site !== null && !site.ok) return out.fail(site.fault);
        const record = site === null ? null : site.value;
        const template = await readTemplate(cli, options.config);
        if (!template.ok) return out.fail(template.fault);
        const prepared = await prepareBundle({
          profile: desk.profile,
          tenant: desk.tenant,
          device,
          site: record,
          template: template.value,
          templateDir: options.config === undefined ? '.' : dirname(resolve(options.config)),
          hasPassword: options.mqttPasswordFile !== undefined,
        });
        if (!prepared.ok) return out.fail(prepared.fault);
        const acl = aclFor(prepared.value.config, record, options.acl ?? []);
        if (!acl.ok) return out.fail(acl.fault);
        let mqttPassword = '';
        if (options.mqttPasswordFile !== undefined) {
          const password = await readSecret(options.mqttPasswordFile, cli.env);
          if (!password.ok) return out.fail(password.fault);
          mqttPassword = password.value.text;
          if (Buffer.byteLength(mqttPassword) > MAX_PASSWORD_BYTES)
            return out.fail(
              fault('BAD_ARGS', `The broker's password is longer than ${MAX_PASSWORD_BYTES} bytes.`, false),
            );
        }
        const protection = await protectionOf(cli, out, desk, device, options);
        if (!protection.ok) return out.fail(protection.fault);

        const path = resolve(options.out ?? '');
        const enrolled = await enrollDevice(
          {
            api: desk.api,
            audit: desk.audit,
            clock: cli.clock,
            note: openMintNote(desk.profile.devicesDir),
          },
          {
            tenant: desk.tenant,
            device,
            ...(options.site === undefined ? {} : { site: options.site }),
            ownerName: userName(options.site, options.siteUser === true ? undefined : device),
            acl: acl.value,
            ...prepared.value,
            mqttPassword,
            protection: protection.value,
            out: path,
            isReplacing: options.replace === true,
          },
        );
        if (!enrolled.ok) return out.fail(enrolled.fault);
        const { credential, bundle, deleted } = enrolled.value;
        out.json({ v: 1, device, ...enrolled.value, out: path });
        out.line(`${device}: credential ${credential}, may bind ${enrolled.value.acl.join(' ')}`);
        for (const id of deleted) out.line(`deleted ${id}`);
        out.line(
          bundle === 'kept'
            ? `the bundle ${path} is there already; nothing was made`
            : `the bundle is ${path}: on the box, as root, lockkeeper install ${basename(path)}`,
        );
        if (protection.value.kind === 'locked')
          out.line(
            `when it is up: lockkeeper enroll ${device} --confirm FINGERPRINT, as lockkeeper status shows it there`,
          );
        return EXIT.ok;
      }),
    );
};
