/**
 * The files behind a connection, read again at each connect: authorities, client certificate, key, password.
 *
 * What was good once goes on while a newer version is incomplete: certificate and key are rarely replaced in one
 * moment, and a connect in between must not cost the link.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { filePath } from '../config/text-file.ts';
import { type Fault, failed, fault, ok, type Result } from '../core/errors.ts';
import type { Validity } from './link-errors.ts';
import { errorCode } from './link-errors.ts';

/** Paths, or empty for none; `credential:NAME` is a file in systemd's credentials folder. */
export interface CredentialFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly passwordFile: string;
}

/** Contents to connect with. `password` and `key` are secrets. */
export interface Credentials {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  readonly password: string | null;
  /** Validity of the client certificate in use; null without one. */
  readonly validity: Validity | null;
  /** What stands in the way of the files as they are now, although an older version still serves. */
  readonly warning: Fault | null;
  /** Changes whenever a file's content does. */
  readonly print: string;
}

export interface CredentialReader {
  /** Reads every file now. A fault when one cannot be used and no earlier version serves. */
  read(): Promise<Result<Credentials>>;
}

type Pair = { readonly cert: Buffer; readonly key: Buffer; readonly validity: Validity };

const load = async (key: string, reference: string): Promise<Result<Buffer>> => {
  const path = filePath(reference, process.env['CREDENTIALS_DIRECTORY']);
  if (path === null)
    return failed(fault('CONFIG_INVALID', `${key} ${reference} is not in a credentials folder.`, true));
  try {
    return ok(await readFile(path));
  } catch (error) {
    const why = errorCode(error) ?? 'unknown error';
    return failed(fault('CONFIG_INVALID', `${key} ${reference} cannot be read (${why}).`, true));
  }
};

const pairOf = (cert: Buffer, key: Buffer, certFile: string, keyFile: string): Result<Pair> => {
  try {
    const x509 = new X509Certificate(cert);
    createSecureContext({ cert, key });
    return ok({
      cert,
      key,
      validity: { notBeforeMs: Date.parse(x509.validFrom), notAfterMs: Date.parse(x509.validTo) },
    });
  } catch (error) {
    const isMismatch = errorCode(error) === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH';
    const what = isMismatch
      ? `mqtt.keyFile ${keyFile} does not belong to the certificate in ${certFile}.`
      : `mqtt.certFile ${certFile} and mqtt.keyFile ${keyFile} cannot be used (${errorCode(error) ?? 'not PEM'}).`;
    return failed(fault('CLIENT_CERT_INVALID', what, true));
  }
};

const checkedCa = (ca: Buffer, file: string): Result<Buffer> => {
  try {
    // A file without any certificate would pass as an empty list.
    new X509Certificate(ca);
    createSecureContext({ ca });
    return ok(ca);
  } catch {
    return failed(fault('CONFIG_INVALID', `mqtt.caFile ${file} holds no certificate in PEM form.`, true));
  }
};

/** Makes a reader that remembers the last usable version of each file. */
export const createCredentialReader = (files: CredentialFiles): CredentialReader => {
  let lastCa: Buffer | null = null;
  let lastPair: Pair | null = null;
  let lastPassword: string | null = null;

  const readCa = async (): Promise<Result<Buffer | null>> => {
    if (files.caFile === '') return ok(null);
    const content = await load('mqtt.caFile', files.caFile);
    return content.ok ? checkedCa(content.value, files.caFile) : content;
  };
  const readPair = async (): Promise<Result<Pair | null>> => {
    if (files.certFile === '' && files.keyFile === '') return ok(null);
    if (files.certFile === '' || files.keyFile === '')
      return failed(fault('CONFIG_INVALID', 'mqtt.certFile and mqtt.keyFile go together.', true));
    const cert = await load('mqtt.certFile', files.certFile);
    if (!cert.ok) return cert;
    const key = await load('mqtt.keyFile', files.keyFile);
    return key.ok ? pairOf(cert.value, key.value, files.certFile, files.keyFile) : key;
  };
  const readPassword = async (): Promise<Result<string | null>> => {
    if (files.passwordFile === '') return ok(null);
    const content = await load('mqtt.passwordFile', files.passwordFile);
    return content.ok
      ? ok(
          content.value
            .toString('utf8')
            .replace(/^\uFEFF/, '')
            .replace(/[\r\n]+$/, ''),
        )
      : content;
  };

  return {
    async read() {
      const [ca, pair, password] = await Promise.all([readCa(), readPair(), readPassword()]);
      if (ca.ok) lastCa = ca.value;
      if (pair.ok) lastPair = pair.value;
      if (password.ok) lastPassword = password.value;
      if (!ca.ok && lastCa === null) return ca;
      if (!pair.ok && lastPair === null) return pair;
      if (!password.ok && lastPassword === null) return password;
      const print = createHash('sha256');
      for (const part of [lastCa, lastPair?.cert, lastPair?.key, lastPassword]) {
        print.update(part ?? '').update('\0');
      }
      return ok({
        ca: lastCa,
        cert: lastPair?.cert ?? null,
        key: lastPair?.key ?? null,
        password: lastPassword,
        validity: lastPair?.validity ?? null,
        warning: [pair, ca, password].find((r) => !r.ok)?.fault ?? null,
        print: print.digest('hex'),
      });
    },
  };
};
