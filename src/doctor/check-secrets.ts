/** The files with secrets: there, readable, closed to others, and of the form that they should have. Never shown. */
import type { Config } from '../config/config.ts';
import { isOutOfSight } from '../config/service-credentials.ts';
import { readSecret } from '../vault/secret-file.ts';
import { type Finding, fine, found, skipped } from './finding.ts';

/** ngrok's authtokens: two long words of letters and digits, joined by an underscore. */
const TOKEN_FORM = /^[A-Za-z0-9]{20,}_[A-Za-z0-9]{15,}$/;

/** Why a credential cannot be looked at from a shell, and how it can be. */
export const OUT_OF_SIGHT =
  'they exist only inside the service: run this as root on a device whose service runs';

const checkFile = async (
  check: string,
  reference: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly finding: Finding; readonly text: string | null }> => {
  if (isOutOfSight(reference, env))
    return {
      text: null,
      finding: skipped(check, `${reference}: credentials cannot be seen, ${OUT_OF_SIGHT}`),
    };
  const secret = await readSecret(reference, env);
  if (!secret.ok)
    return {
      text: null,
      finding: found(
        check,
        'error',
        'FILE_UNREADABLE',
        secret.fault.message,
        'Mend path, owner or mode; a credential is made by a LoadCredential= line of the unit.',
      ),
    };
  const { warning, text } = secret.value;
  return {
    text,
    finding:
      warning === undefined
        ? fine(check, `${secret.value.path} can be read`)
        : found(check, 'warning', 'MODE_OPEN', `${warning}.`, 'Close it to others.'),
  };
};

export const checkSecrets = async (config: Config, env: NodeJS.ProcessEnv): Promise<readonly Finding[]> => {
  const findings: Finding[] = [];
  const { authtokenFile } = config.ngrok;
  if (authtokenFile === '')
    findings.push(skipped('authtoken', 'no ngrok.authtokenFile: the vault alone holds one'));
  else {
    const { finding, text } = await checkFile('authtoken', authtokenFile, env);
    const isOdd = text !== null && config.ngrok.serverAddr === '' && !TOKEN_FORM.test(text);
    findings.push(
      isOdd
        ? found(
            'authtoken',
            'error',
            'TOKEN_FORM',
            `What ${authtokenFile} holds has not the form of an ngrok authtoken.`,
            'An API key, a credential id or a broken line end is not an authtoken: put in the token itself.',
          )
        : finding,
    );
  }
  const others = {
    'broker password': config.mqtt.passwordFile,
    'device key': config.device.keyFile,
    'vault key': config.vault.keyFile,
    'page token': config.http.tokenFile,
  };
  for (const [check, reference] of Object.entries(others))
    if (reference !== '') findings.push((await checkFile(check, reference, env)).finding);
  return findings;
};
