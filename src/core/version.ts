/** Versions as package.json has them: read by Node from source, set into the bundle at build time. */
import manifest from '../../package.json' with { type: 'json' };

export const VERSION: string = manifest.version;
/** Version of the ngrok SDK this release was tested with. */
export const NGROK_VERSION: string = manifest.dependencies['@ngrok/ngrok'].replace(/^[^0-9]*/, '');
/** Epoch seconds: no right clock is before this. Far enough back for every machine that builds or tests. */
export const BUILT_AFTER_S = Date.UTC(2026, 0, 1) / 1000;
