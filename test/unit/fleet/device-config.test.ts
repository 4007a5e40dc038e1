import { expect, test } from 'vitest';
import { type ConfigInputs, deviceConfig } from '../../../src/fleet/enroll/device-config.ts';

const inputs = (more: Partial<ConfigInputs>): ConfigInputs => ({
  device: 'press-7',
  tenant: 'acme',
  template: null,
  mqtt: { url: 'mqtts://broker.example:443', alpn: 'x-amzn-mqtt-ca' },
  trust: 'signed',
  caFile: '',
  hasPassword: false,
  policyFile: '',
  ...more,
});

test.each([
  ['without a template', null, { url: 'mqtts://broker.example:443', alpn: 'x-amzn-mqtt-ca' }],
  [
    'with a template that says nothing of the address',
    { mqtt: { keepAliveS: 30 } },
    { url: 'mqtts://broker.example:443', alpn: 'x-amzn-mqtt-ca', keepAliveS: 30 },
  ],
  [
    'with a template that has its own address',
    { mqtt: { url: 'mqtts://other.example:8883' } },
    { url: 'mqtts://other.example:8883' },
  ],
])("%s, the device finds the operator's broker as the operator does", (_, template, mqtt) => {
  const made = deviceConfig(inputs({ template }));
  expect(made.ok && made.value['mqtt']).toEqual(mqtt);
});
