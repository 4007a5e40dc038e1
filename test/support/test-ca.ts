import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface IssueOptions {
  readonly cn: string;
  /** IP names of a server; none for a client. */
  readonly ip?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export interface Issued {
  readonly cert: string;
  readonly key: string;
  /** Hexadecimal, upper-case, as OpenSSL prints it. */
  readonly serial: string;
}

export interface TestCa {
  readonly cert: string;
  issue(options: IssueOptions): Promise<Issued>;
}

const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
const newSerial = (): string => `5${randomBytes(8).toString('hex').slice(1)}`;

/** An authority that signs anything a test asks for, also certificates that are over or not valid yet. */
export const createTestCa = async (): Promise<TestCa> => {
  const keys = await newKeys();
  const now = Date.now();
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: 'CN=Test authority',
    notBefore: new Date(now - 400 * DAY_MS),
    notAfter: new Date(now + 400 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  });
  return {
    cert: root.toString('pem'),
    async issue({ cn, ip = [], notBefore, notAfter }) {
      const own = await newKeys();
      const serial = newSerial();
      const issued = await X509CertificateGenerator.create({
        serialNumber: serial,
        subject: `CN=${cn}`,
        issuer: root.subject,
        notBefore: notBefore ?? new Date(now - DAY_MS),
        notAfter: notAfter ?? new Date(now + 365 * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions:
          ip.length === 0
            ? []
            : [new SubjectAlternativeNameExtension(ip.map((value) => ({ type: 'ip' as const, value })))],
      });
      return {
        cert: issued.toString('pem'),
        key: PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY'),
        serial: serial.toUpperCase(),
      };
    },
  };
};

/** Puts a file in place by rename, as renewal programs do; returns its path. */
export const place = async (dir: string, name: string, content: string): Promise<string> => {
  const path = join(dir, name);
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return path;
};
