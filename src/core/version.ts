/** Versions as package.json has them: read by Node from source, set into the bundle at build time. */
import manifest from '../../package.json' with { type: 'json' };

export const VERSION: string = manifest.version;
/** Version of the ngrok SDK this release was tested with. */
export const NGROK_VERSION: string = manifest.dependencies['@ngrok/ngrok'].replace(/^[^0-9]*/, '');
