import type { KnipConfig } from 'knip';

/** Finds files, exports and packages that nothing uses. */
const config: KnipConfig = {
  entry: [
    'src/lockkeeperd.ts!',
    'src/lockkeeper.ts!',
    'src/tunnel/process.ts!',
    'src/sandbox/main.ts!',
    'src/demo/main.ts',
    // What `exports` of package.json offers to other programs.
    'src/protocol/index.ts!',
    'src/fleet/index.ts!',
    'build.ts',
    'packaging/deb.ts',
    'bench/*.ts',
    'docs/*.ts',
    'test/all.ts',
    'test/**/*.test.ts',
    // Started as programs by tests.
    'test/support/*.mjs',
    'test/support/edge-shutdown.ts',
    'test/support/tunnel-supervisor.ts',
  ],
  project: ['src/**/*.ts!', 'test/**/*.{ts,mjs}', 'bench/**/*.ts', 'docs/**/*.ts', 'packaging/**/*.ts'],
  // An interface or a constant that its own file uses may be exported for readers and tests.
  ignoreExportsUsedInFile: true,
  // Installed by .ci/run where they are missing.
  ignoreBinaries: ['mosquitto', 'openssl', 'systemd-notify', 'unshare'],
  ignoreDependencies: [
    // The node that runs everything, put first in PATH by npm.
    'node',
    // Found by dependency-cruiser by its name.
    '@swc/core',
  ],
};

export default config;
