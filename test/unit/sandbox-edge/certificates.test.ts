import { X509Certificate } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  createCertificateAuthority,
  issueEdgeCertificate,
  issueFrontCertificate,
} from '../../../src/sandbox/certificates.ts';
import { tempDir } from '../../support/temp-dir.ts';

const NOW_MS = Date.UTC(2026, 5, 1);

test('the authority signs server certificates for loopback and for the names of a domain', async () => {
  const authority = await createCertificateAuthority(NOW_MS);
  const ca = new X509Certificate(authority.cert);
  const edge = new X509Certificate((await issueEdgeCertificate(authority)).cert);
  const front = new X509Certificate((await issueFrontCertificate(authority, 'edge.test')).cert);
  expect(ca.ca).toBe(true);
  for (const cert of [edge, front]) {
    expect(cert.ca).toBe(false);
    expect(cert.verify(ca.publicKey)).toBe(true);
    expect(cert.checkIssued(ca)).toBe(true);
    expect(cert.checkHost('localhost')).toBeDefined();
    expect(cert.checkIP('127.0.0.1')).toBeDefined();
  }
  expect(front.checkHost('any.edge.test')).toBeDefined();
  expect(front.checkHost('edge.test')).toBeDefined();
  expect(front.checkHost('edge.example')).toBeUndefined();
  expect(edge.serialNumber).not.toBe(front.serialNumber);
});

test('the certificate is valid around the given time', async () => {
  const authority = await createCertificateAuthority(NOW_MS);
  const ca = new X509Certificate(authority.cert);
  expect(ca.validFromDate.getTime()).toBeLessThan(NOW_MS);
  expect(ca.validToDate.getTime()).toBeGreaterThan(NOW_MS);
});

test('writes its certificate, readable for all, and never its key', async () => {
  const dir = await tempDir();
  const authority = await createCertificateAuthority(NOW_MS);
  const path = join(dir, 'ca.pem');
  const umask = process.umask(0o077);
  try {
    await authority.writeTo(path);
  } finally {
    process.umask(umask);
  }
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  expect(await readdir(dir)).toEqual(['ca.pem']);
  const text = await readFile(path, 'utf8');
  expect(text.match(/-----BEGIN [^-]+-----/g)).toEqual(['-----BEGIN CERTIFICATE-----']);
});
