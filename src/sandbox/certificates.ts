/** Certificates of the sandbox: one authority made afresh at each start, and server certificates signed by it. */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const LIFE_MS = 365 * DAY_MS;

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Signs server certificates for names of the sandbox. */
export interface CertificateAuthority {
  /** The authority's own certificate, PEM: what clients and agents have to trust. */
  readonly cert: string;
  /** Issues a server certificate. Names may be wildcards (`*.edge.test`); addresses become IP names. */
  issue(names: { readonly dns: readonly string[]; readonly ip: readonly string[] }): Promise<KeyPair>;
  /** Writes the authority's certificate, never its key, readable for all. */
  writeTo(path: string): Promise<void>;
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

const keyPem = async (key: CryptoKey): Promise<string> =>
  PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');

/** Serial numbers are positive, hence the cleared top bit. */
const newSerial = (): string => {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
};

/** Makes an authority. `nowMs` is wall-clock time; certificates are valid from a day before it for about a year. */
export const createCertificateAuthority = async (nowMs: number): Promise<CertificateAuthority> => {
  const keys = await newKeys();
  const notBefore = new Date(nowMs - DAY_MS);
  const notAfter = new Date(nowMs + LIFE_MS);
  const authority = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: 'CN=Lockkeeper sandbox authority',
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const cert = authority.toString('pem');

  return {
    cert,
    issue: async ({ dns, ip }) => {
      const own = await newKeys();
      const extensions: Extension[] = [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([
          ...dns.map((value) => ({ type: 'dns' as const, value })),
          ...ip.map((value) => ({ type: 'ip' as const, value })),
        ]),
        await AuthorityKeyIdentifierExtension.create(keys.publicKey),
        await SubjectKeyIdentifierExtension.create(own.publicKey),
      ];
      const issued = await X509CertificateGenerator.create({
        serialNumber: newSerial(),
        subject: `CN=${dns[0] ?? ip[0] ?? 'localhost'}`,
        issuer: authority.subject,
        notBefore,
        notAfter,
        signingAlgorithm: ALGORITHM,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions,
      });
      return { cert: `${issued.toString('pem')}\n`, key: await keyPem(own.privateKey) };
    },
    writeTo: async (path) => {
      await writeFile(path, `${cert}\n`, { mode: 0o644 });
      // The mode above is subject to the umask; others must be able to read this one.
      await chmod(path, 0o644);
    },
  };
};

/** Certificate of the agent port: reachable by name and by address. */
export const issueEdgeCertificate = (authority: CertificateAuthority): Promise<KeyPair> =>
  authority.issue({ dns: ['localhost'], ip: ['127.0.0.1'] });

/** Certificate of the public https front end: any name one level under the domain, the domain itself, loopback. */
export const issueFrontCertificate = (authority: CertificateAuthority, domain: string): Promise<KeyPair> =>
  authority.issue({ dns: [`*.${domain}`, domain, 'localhost'], ip: ['127.0.0.1'] });
