/**
 * Enrolls a device: owner, credential, bundle. Run again after a crash it goes on where it was: what it is about to
 * make is noted down first, and a credential whose token never reached a bundle is deleted before another is made.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { newCommandId } from '../../protocol/ids.ts';
import { tokenFingerprint } from '../../protocol/token-fingerprint.ts';
import { writeFileAtomic } from '../../vault/atomic-file.ts';
import { errnoOf } from '../../vault/disk.ts';
import { checkAcl } from '../acl.ts';
import { equals, type NgrokApi } from '../api/index.ts';
import type { AuditLog } from '../audit-log.ts';
import { descriptionOf, formatTag, type HeldCredential, heldBy } from '../credential-tag.ts';
import type { PinnedKey } from '../device-book.ts';
import { deleteCredential, type Minted, mintCredential } from '../mint.ts';
import { ensureUser } from '../service-user.ts';
import { type BundleContent, bundleKind, lockBundle, peekBundle, sealBundle } from './bundle.ts';
import type { MintNote, Noted } from './mint-note.ts';

export interface EnrollPorts {
  readonly api: NgrokApi;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly note: MintNote;
}

/** How the secrets are protected on their way. */
export type Protection =
  | { readonly kind: 'sealed'; readonly key: PinnedKey }
  | {
      readonly kind: 'locked';
      readonly passphrase: string;
      /** Work to open it, as a power of two; the default suits a small gateway. */
      readonly scryptLogN?: number;
    };

export interface EnrollOptions {
  readonly tenant: string;
  readonly device: string;
  readonly site?: string;
  /** Name of the service user that owns the credential; empty for the API key's own user. */
  readonly ownerName: string;
  /** Never empty. */
  readonly acl: readonly string[];
  readonly config: BundleContent['config'];
  readonly keys: string;
  readonly files: BundleContent['files'];
  readonly mqttPassword: string;
  readonly protection: Protection;
  /** Where the bundle goes. */
  readonly out: string;
  /** Make a new credential although the device has one; the others are deleted when the bundle is written. */
  readonly isReplacing: boolean;
}

export interface Enrolled {
  readonly credential: string;
  readonly gen: number;
  readonly owner: string;
  readonly acl: readonly string[];
  /** `made` now, or `kept` because an earlier run had come to its end. */
  readonly bundle: 'made' | 'kept';
  /** Credentials that were deleted: leftovers, or the replaced ones. */
  readonly deleted: readonly string[];
}

const readBundle = async (path: string): Promise<Result<Uint8Array | null>> => {
  try {
    return ok(await readFile(path));
  } catch (error) {
    const why = errnoOf(error);
    return why === 'ENOENT'
      ? ok(null)
      : failed(fault('STORE_FAILED', `The bundle ${path} cannot be read (${why}).`, false));
  }
};

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The credential whose token a bundle holds: a sealed one says so, of a locked one the note knows it. */
const bundledCredential = (bytes: Uint8Array | null, noted: Noted | null): string | null => {
  if (bytes === null) return null;
  if (noted !== null && noted.digest === digestOf(bytes)) return noted.credential;
  if (bundleKind(bytes) === 'locked') return null;
  const peeked = peekBundle(bytes);
  return peeked.ok ? peeked.value.credential : null;
};

const sameAcl = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((rule) => b.includes(rule));

/** One enrolment under way: what is known of the device, and what was deleted on the way. */
interface Work {
  readonly ports: EnrollPorts;
  readonly options: EnrollOptions;
  readonly acl: readonly string[];
  held: readonly HeldCredential[];
  readonly deleted: string[];
}

const remove = async (work: Work, which: (one: HeldCredential) => boolean): Promise<Result<void>> => {
  const { device } = work.options;
  for (const one of work.held.filter(which)) {
    const gone = await deleteCredential(work.ports, one.id, { device, gen: one.tag.gen });
    if (!gone.ok) return gone;
    work.held = work.held.filter((other) => other !== one);
    work.deleted.push(one.id);
  }
  return ok(undefined);
};

/** The bundle is there and good: brings everything else to what it should be. */
const keep = async (work: Work, kept: HeldCredential, noted: Noted | null): Promise<Result<Enrolled>> => {
  const { ports, options, acl, deleted } = work;
  const { device } = options;
  if (!sameAcl(kept.acl, acl)) {
    const changed = await ports.api.credentials.update(kept.id, { acl });
    if (!changed.ok) return changed;
    await ports.audit.write({ what: 'credential.update', id: kept.id, device, acl });
  }
  if (noted?.isPending === true && noted.isReplacing) {
    const gone = await remove(work, (one) => one !== kept);
    if (!gone.ok) return gone;
  }
  const settled = await ports.note.settle(device);
  if (!settled.ok) return settled;
  const { id: credential, ownerId: owner, tag } = kept;
  return ok({ credential, gen: tag.gen, owner, acl, bundle: 'kept', deleted });
};

const pack = (options: EnrollOptions, { id, token, tag }: Minted): Promise<Uint8Array> => {
  const { device, tenant, config, keys, files, protection } = options;
  const content: BundleContent = { device, tenant, gen: tag.gen, credential: id, config, keys, files };
  const secrets = { token, mqttPassword: options.mqttPassword };
  return protection.kind === 'sealed'
    ? sealBundle(content, secrets, protection.key)
    : lockBundle(content, secrets, protection.passphrase, protection.scryptLogN);
};

/** Brings the token into the bundle. Where that fails the credential is deleted: its token is nowhere else. */
const store = async (work: Work, minted: Minted): Promise<Result<void>> => {
  const { ports, options } = work;
  const { device, out } = options;
  const { id, tag } = minted;
  const fails = async (why: Result<never>): Promise<Result<void>> => {
    const gone = await deleteCredential(ports, id, { device, gen: tag.gen });
    return gone.ok ? why : gone;
  };
  // A box that had a token before counts on from what it has: the print tells the token apart then.
  if (tag.gen > 1) {
    const printed = await ports.api.credentials.update(id, {
      metadata: formatTag({ ...tag, fp: tokenFingerprint(minted.token) }),
    });
    if (!printed.ok) return fails(printed);
  }
  const bytes = await pack(options, minted);
  // A locked bundle does not say whose token it holds, so the note must know before the bundle is there.
  const known = await ports.note.made(device, id, digestOf(bytes));
  if (!known.ok) return fails(known);
  try {
    await writeFileAtomic(out, bytes);
  } catch (error) {
    return fails(
      failed(fault('STORE_FAILED', `The bundle ${out} cannot be written (${errnoOf(error)}).`, false)),
    );
  }
  await ports.audit.write({ what: 'bundle', device, id, gen: tag.gen });
  return ok(undefined);
};

const make = async (work: Work): Promise<Result<Enrolled>> => {
  const { ports, options, acl, deleted } = work;
  const { tenant, device, site, protection } = options;
  const owner = options.ownerName === '' ? null : await ensureUser(ports.api, ports.audit, options.ownerName);
  if (owner !== null && !owner.ok) return owner;
  const ownerId = owner === null ? '' : owner.value.id;
  const mint = newCommandId(ports.clock);
  const begun = await ports.note.begin(device, mint, options.isReplacing);
  if (!begun.ok) return begun;
  const gen = work.held.reduce((highest, { tag }) => Math.max(highest, tag.gen), 0) + 1;
  const minted = await mintCredential(ports, {
    tag: {
      tenant,
      device,
      ...(site === undefined ? {} : { site }),
      gen,
      ...(protection.kind === 'sealed' ? { pin: protection.key } : {}),
    },
    acl,
    ownerId,
    mint,
  });
  if (!minted.ok) return minted;
  const stored = await store(work, minted.value);
  if (!stored.ok) return stored;
  const gone = await remove(work, () => true);
  if (!gone.ok) return gone;
  const settled = await ports.note.settle(device);
  if (!settled.ok) return settled;
  return ok({ credential: minted.value.id, gen, owner: ownerId, acl, bundle: 'made', deleted });
};

/**
 * Enrolls, or finishes what an earlier run began. `NOT_FINISHED` when the device has a credential whose token is not in
 * the bundle: that may be the one it runs on.
 */
export const enrollDevice = async (ports: EnrollPorts, options: EnrollOptions): Promise<Result<Enrolled>> => {
  const { tenant, device, out } = options;
  const acl = checkAcl(options.acl);
  if (!acl.ok) return acl;
  const listed = await ports.api.credentials.list({
    filter: equals('description', descriptionOf(tenant, device)),
  });
  if (!listed.ok) return listed;
  const held = heldBy(tenant, listed.value).filter(({ tag }) => tag.device === device);
  const work: Work = { ports, options, acl: acl.value, held, deleted: [] };
  const bundle = await readBundle(out);
  if (!bundle.ok) return bundle;
  const note = await ports.note.read(device);
  if (!note.ok) return note;
  const noted = note.value;
  const inBundle = bundledCredential(bundle.value, noted);
  const kept = held.find(({ id }) => id === inBundle);

  if (noted?.isPending === true) {
    // An earlier run was cut off. What it made and did not bring into the bundle can never be used.
    const gone = await remove(work, ({ id, tag }) => tag.mint === noted.mint && id !== inBundle);
    if (!gone.ok) return gone;
  }
  const isFinishing = noted?.isPending === true && kept?.tag.mint === noted.mint;
  if (kept !== undefined && (isFinishing || !options.isReplacing)) return keep(work, kept, noted);
  if (work.held.length > 0 && !options.isReplacing)
    return failed(
      fault(
        'NOT_FINISHED',
        `${device} has ${work.held.map(({ id }) => id).join(', ')} already, and ${out} does not hold its token. If the box is new, say --replace; to change a running one, rotate it.`,
        false,
      ),
    );
  return make(work);
};
