import { expect, test } from 'vitest';
import { parseBrokerUrl } from '../../../src/link/broker-url.ts';

const value = (url: string) => {
  const parsed = parseBrokerUrl(url);
  if (!parsed.ok) throw new Error(parsed.fault.message);
  return parsed.value;
};

test('fills in the port of each scheme', () => {
  expect(value('mqtt://broker')).toMatchObject({ host: 'broker', port: 1883, isSecure: false });
  expect(value('mqtts://broker')).toMatchObject({ port: 8883, isSecure: true });
  expect(value('ws://broker')).toMatchObject({ port: 80, path: '/' });
  expect(value('wss://broker/mqtt?x=1')).toMatchObject({ port: 443, path: '/mqtt?x=1', isSecure: true });
});

test('takes IPv6 addresses and any case', () => {
  expect(value('mqtt://[::1]:1884')).toMatchObject({ host: '::1', port: 1884, shown: 'mqtt://[::1]:1884' });
  expect(value('MQTT://Broker.Example')).toMatchObject({ host: 'broker.example' });
});

test('shows no query, which may hold a token', () => {
  expect(value('wss://broker/mqtt?token=secret').shown).toBe('wss://broker:443/mqtt');
});

test.each([
  'broker:1883',
  'http://broker',
  'mqtt://',
  'mqtt://user:secret@broker',
  'mqtt://broker/path',
  'mqtt://broker#x',
  'mqtt://broker:0',
  '',
])('refuses %s without repeating it', (url) => {
  const parsed = parseBrokerUrl(url);
  expect(parsed).toMatchObject({ ok: false, fault: { code: 'CONFIG_INVALID' } });
  expect(JSON.stringify(parsed)).not.toContain('secret');
});
