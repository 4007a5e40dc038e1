import { describe, expect, test } from 'vitest';
import { ngrokCodeOf, sdkFault, sessionIdIn } from '../../../src/tunnel/sdk-errors.ts';

const TOKEN = '2abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTU';

describe('what the SDK throws', () => {
  test('gives its code by property or by text, the property first', () => {
    const error = Object.assign(new Error('failed … error_code: ERR_NGROK_1'), {
      errorCode: 'ERR_NGROK_107',
    });
    expect(ngrokCodeOf(error)).toBe('ERR_NGROK_107');
    expect(ngrokCodeOf(new Error('failed to start listener: taken error_code: ERR_NGROK_334'))).toBe(
      'ERR_NGROK_334',
    );
    expect(ngrokCodeOf(new Error('tls handshake error'))).toBeUndefined();
  });

  test.each([
    [105, 'NGROK_AUTH_REFUSED', false],
    [107, 'NGROK_AUTH_REFUSED', false],
    [4018, 'NGROK_AUTH_REFUSED', false],
    [108, 'NGROK_LIMIT', true],
    [334, 'NGROK_URL_TAKEN', true],
    [316, 'NGROK_ACL_DENIED', false],
    [326, 'NGROK_CONFIG', false],
    [9026, 'NGROK_CONFIG', false],
    [120, 'NGROK_VERSION', false],
    [802, 'NGROK_NET', true],
    [99_999, 'NGROK_NET', true],
  ])('becomes a fault for %i', (number, code, retryable) => {
    const found = sdkFault(new Error(`failed: text error_code: ERR_NGROK_${number}`), 'bind');
    expect(found).toMatchObject({ code, retryable, ngrokCode: `ERR_NGROK_${number}` });
    expect(found.message).toContain(`ERR_NGROK_${number}`);
  });

  test('never passes the text on, which may quote the authtoken', () => {
    const text = `failed to connect session: The authtoken you specified is malformed.\nYour authtoken: ${TOKEN} error_code: ERR_NGROK_105`;
    expect(JSON.stringify(sdkFault(new Error(text), 'connect'))).not.toContain(TOKEN);
    expect(JSON.stringify(sdkFault(new Error(`odd text with ${TOKEN}`), 'connect'))).not.toContain(TOKEN);
  });

  test.each([
    ['invalid server address: x', 'CONFIG_INVALID', false],
    ['No such file or directory (os error 2)', 'CONFIG_INVALID', false],
    ['failed to connect session: tls handshake error', 'NGROK_NET', true],
    ['failed to connect session: failed to establish tcp connection', 'NGROK_NET', true],
    ['something new', 'NGROK_NET', true],
  ])('without code is told by its text: %s', (text, code, retryable) => {
    expect(sdkFault(new Error(text), 'connect')).toMatchObject({ code, retryable });
  });
});

test('the session id is read from the log line that tells it', () => {
  expect(sessionIdIn('Session created "ts_0ERhT5JYbH"')).toBe('ts_0ERhT5JYbH');
  expect(sessionIdIn('Created listener "ep_12" with url "https://a"')).toBeUndefined();
});
