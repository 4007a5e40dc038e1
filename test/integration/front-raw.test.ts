import { once } from 'node:events';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  createServer as createTlsServer,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls';
import { describe, expect, test, vi } from 'vitest';
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { PemConverter, X509CertificateGenerator } from '@peculiar/x509';
import { createCertificateAuthority, type KeyPair } from '../../src/sandbox/certificates.ts';
import type { EdgeEndpoint } from '../../src/sandbox/contract.ts';
import type { RunningFrontEnd } from '../../src/sandbox/front/front-end.ts';
import { drained, listening, modelEndpoint } from '../support/edge-model.ts';
import {
  afterwards,
  ask,
  authority,
  domainPair,
  httpUpstream,
  startFront,
  tcpUpstream,
} from '../support/front-world.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A visitor's certificate that is its own authority. */
const clientPair = async (): Promise<KeyPair> => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=visitor',
    signingAlgorithm: algorithm,
    keys,
  });
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { cert: certificate.toString('pem'), key };
};

/** A visitor's connection that half-closes. */
const visit = (port: number): Socket => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  afterwards(() => void socket.destroy());
  return socket;
};

const visitTls = (front: RunningFrontEnd, servername: string, more: ConnectionOptions = {}): TLSSocket => {
  const half = { allowHalfOpen: true };
  const socket = tlsConnect({
    port: front.httpsPort,
    host: '127.0.0.1',
    servername,
    ca: authority.cert,
    ...half,
    ...more,
  });
  afterwards(() => void socket.destroy());
  return socket;
};

const askHttps = async (
  front: RunningFrontEnd,
  host: string,
  more: RequestOptions = {},
): Promise<[number, string]> => {
  const req = httpsRequest({
    port: front.httpsPort,
    host: '127.0.0.1',
    servername: host,
    headers: { host },
    ca: authority.cert,
    agent: false,
    ...more,
  });
  req.end();
  const [res] = await once(req, 'response');
  return [res.statusCode, (await drained(res)).toString()];
};

describe('the https port', () => {
  test('serves https endpoints with the certificate of the domain, and tells them apart from http ones', async () => {
    const port = await httpUpstream((q, r) => r.end(String(q.headers['x-forwarded-proto'])));
    const front = await startFront([
      modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port),
      modelEndpoint({ proto: 'http', host: 'plain.edge.test' }, port),
    ]);
    expect(await askHttps(front, 'a.edge.test')).toEqual([200, 'https']);
    expect((await askHttps(front, 'plain.edge.test'))[0]).toBe(404);
  });

  test('drops what is no TLS, and goes on', async () => {
    const port = await httpUpstream((_q, r) => r.end('ok'));
    const front = await startFront([modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)]);
    const socket = visit(front.httpsPort);
    socket.write('GET / HTTP/1.1\r\nHost: a.edge.test\r\n\r\n');
    expect((await drained(socket)).toString()).toBe('');
    expect(await askHttps(front, 'a.edge.test')).toEqual([200, 'ok']);
  });

  test('and the other ports survive any bytes and any kind of end', async () => {
    const port = await httpUpstream((_q, r) => r.end('ok'));
    const endpoints: EdgeEndpoint[] = [modelEndpoint({ proto: 'https', host: 'a.edge.test' }, port)];
    const front = await startFront(endpoints);
    const tcpPort = await front.openTcp(0);
    endpoints.push(modelEndpoint({ proto: 'tcp', host: 'localhost', port: tcpPort }, port));
    const starts = [
      '',
      'GET / HTTP/1.1\r\nHost: a.edge.test\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01',
    ];
    const rude = Array.from({ length: 90 }, async (_, n) => {
      const socket = visit([front.httpPort, front.httpsPort, tcpPort][n % 3] ?? 0);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(starts[Math.floor(n / 3) % 3] ?? '', 'latin1');
      await new Promise<void>((resolve) => socket.write(randomBytes(n * 7), () => resolve()));
      if (n % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    });
    await Promise.all(rude);
    expect(await askHttps(front, 'a.edge.test')).toEqual([200, 'ok']);
    expect((await ask(front, 'a.edge.test')).status).toBe(200);
  });

  test('asks for a client certificate where the bind wants one, with no way around', async () => {
    const port = await httpUpstream((_q, r) => r.end('inside'));
    const visitor = await clientPair();
    const opts = { MutualTLSCA: { mutual_tls_ca: base64(visitor.cert) } };
    const front = await startFront([
      modelEndpoint({ proto: 'https', host: 'closed.edge.test', opts }, port),
      modelEndpoint({ proto: 'https', host: 'open.edge.test' }, port),
    ]);
    await expect(askHttps(front, 'closed.edge.test')).rejects.toThrow(
      /certificate required|ECONNRESET|socket/i,
    );
    const around = await askHttps(front, 'open.edge.test', { headers: { host: 'closed.edge.test' } });
    expect(around[0]).toBe(403);
    expect((await ask(front, 'closed.edge.test')).status).toBe(403);
    await expect(askHttps(front, 'closed.edge.test', await clientPair())).rejects.toThrow();
    expect(await askHttps(front, 'closed.edge.test', { ...visitor })).toEqual([200, 'inside']);
  });
});

describe('a tls endpoint', () => {
  const tlsUpstream = async (): Promise<{ port: number; fingerprint: string }> => {
    const own = await createCertificateAuthority(Date.now());
    const pair = await own.issue({ dns: ['t.edge.test'], ip: [] });
    const server = createTlsServer(pair, (socket) => {
      socket.on('error', () => undefined);
      socket.end('from the upstream itself');
    });
    const port = await listening(server);
    afterwards(() => void server.close());
    return { port, fingerprint: pair.cert.replace(/\s|-----[A-Z ]+-----/g, '') };
  };

  test('without a pair passes the handshake through to the upstream', async () => {
    const { port, fingerprint } = await tlsUpstream();
    const endpoint = modelEndpoint({ proto: 'tls', host: 't.edge.test' }, port);
    const front = await startFront([endpoint]);
    const socket = visitTls(front, 't.edge.test', { rejectUnauthorized: false });
    const text = drained(socket);
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().raw.toString('base64')).toBe(fingerprint);
    expect((await text).toString()).toBe('from the upstream itself');
    expect(endpoint.visitors[0]?.passthroughTls).toBe(true);
  });

  test('with a pair is terminated at the edge, and half-closes', async () => {
    const pair = await authority.issue({ dns: ['t.edge.test'], ip: [] });
    const port = await tcpUpstream((socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on('end', () => socket.end(`plain: ${text}`));
    });
    const opts = { TLSTermination: { cert: base64(pair.cert), key: base64(pair.key) } };
    const endpoint = modelEndpoint({ proto: 'tls', host: 't.edge.test', opts }, port);
    const front = await startFront([endpoint]);
    const socket = visitTls(front, 't.edge.test');
    const text = drained(socket);
    socket.end('hello');
    expect((await text).toString()).toBe('plain: hello');
    expect(endpoint.visitors[0]?.passthroughTls).toBe(false);
    expect(endpoint.requests).toBe(1);
  });

  test('with a client authority turns strangers away', async () => {
    const client = await clientPair();
    const port = await tcpUpstream((socket) => void socket.end('inside'));
    const opts = {
      TLSTermination: { cert: base64(domainPair.cert), key: base64(domainPair.key) },
      MutualTLSAtEdge: { mutual_tls_ca: base64(client.cert) },
    };
    const endpoint = modelEndpoint({ proto: 'tls', host: 't.edge.test', opts }, port);
    const front = await startFront([endpoint]);
    const socket = visitTls(front, 't.edge.test');
    await expect(drained(socket)).rejects.toThrow();
    expect(endpoint.streams).toHaveLength(0);
    const known = visitTls(front, 't.edge.test', { ...client });
    expect((await drained(known)).toString()).toBe('inside');
  });
});

describe('a tcp endpoint', () => {
  const bound = async (settings: Partial<EdgeEndpoint>[], upstreamPorts: number[], random = () => 0) => {
    const endpoints: EdgeEndpoint[] = [];
    const front = await startFront(endpoints, { random });
    const port = await front.openTcp(0);
    settings.forEach((setting, index) => {
      endpoints.push(
        modelEndpoint({ proto: 'tcp', host: 'localhost', port, ...setting }, upstreamPorts[index] ?? 0),
      );
    });
    return { front, port, endpoints };
  };

  test('passes half-close in both directions', async () => {
    const upstream = await tcpUpstream((socket) => {
      if (socket.remotePort === undefined) return;
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text === 'you first') socket.end('bye');
      });
      socket.on('end', () => {
        if (!socket.writableEnded) socket.end(`after your end: ${text}`);
      });
    });
    const { port, endpoints } = await bound([{}], [upstream]);
    const client = visit(port);
    client.end('that is all');
    expect((await drained(client)).toString()).toBe('after your end: that is all');
    const other = visit(port);
    other.write('you first');
    expect((await drained(other)).toString()).toBe('bye');
    expect(other.writable).toBe(true);
    other.end();
    await once(other, 'close');
    expect(endpoints[0]?.requests).toBe(2);
  });

  test('shares its port among the members of a pool', async () => {
    const upstreams = [
      await tcpUpstream((s) => void s.end('one')),
      await tcpUpstream((s) => void s.end('two')),
    ];
    const draws = [0.9, 0.1];
    const { front, port } = await bound([{}, {}], upstreams, () => draws.shift() ?? 0);
    expect(await front.openTcp(port)).toBe(port);
    expect((await drained(visit(port))).toString()).toBe('two');
    expect((await drained(visit(port))).toString()).toBe('one');
    await front.closeTcp(port);
    await expect(once(visit(port), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await front.openTcp(port)).toBe(port);
  });

  test('ends a visitor cleanly when nobody serves or the upstream is down', async () => {
    const { port, endpoints } = await bound([{}], [1]);
    expect((await drained(visit(port))).toString()).toBe('');
    endpoints.length = 0;
    expect((await drained(visit(port))).toString()).toBe('');
  });

  test('tells the upstream the true address by a PROXY header', async () => {
    const upstream = await tcpUpstream((socket) => socket.on('data', (chunk) => socket.end(chunk)));
    const { port, endpoints } = await bound([{ opts: { ProxyProto: 1 } }], [upstream]);
    const client = visit(port);
    const text = drained(client);
    await once(client, 'connect');
    expect((await text).toString()).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${client.localPort} ${port}\r\n`);
    endpoints.splice(
      0,
      1,
      modelEndpoint({ proto: 'tcp', host: 'localhost', port, opts: { ProxyProto: 2 } }, upstream),
    );
    const second = visit(port);
    const bytes = drained(second);
    await once(second, 'connect');
    const header = await bytes;
    expect(header.subarray(0, 16).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c');
    expect(header.readUInt16BE(24)).toBe(second.localPort);
  });

  test('closes without a byte for addresses that its rules keep out', async () => {
    const upstream = await tcpUpstream((socket) => void socket.end('inside'));
    const { port, endpoints } = await bound(
      [{ opts: { IPRestriction: { deny_cidrs: ['127.0.0.0/8'] } } }],
      [upstream],
    );
    expect((await drained(visit(port))).toString()).toBe('');
    const policy = JSON.stringify({
      on_tcp_connect: [{ expressions: ["conn.client_ip.startsWith('127.')"], actions: [{ type: 'deny' }] }],
    });
    const opts = { TrafficPolicy: policy };
    endpoints.splice(0, 1, modelEndpoint({ proto: 'tcp', host: 'localhost', port, opts }, upstream));
    expect((await drained(visit(port))).toString()).toBe('');
  });

  test('drops the stream when its visitor resets', async () => {
    const upstream = await tcpUpstream((socket) => socket.write('hello'));
    const endpoints: EdgeEndpoint[] = [];
    const front = await startFront(endpoints);
    const port = await front.openTcp(0);
    const endpoint = modelEndpoint({ proto: 'tcp', host: 'localhost', port }, upstream);
    endpoints.push(endpoint);
    const client = visit(port);
    await once(client, 'data');
    client.resetAndDestroy();
    await vi.waitFor(() => expect(endpoint.streams[0]?.destroyed).toBe(true));
  });
});
