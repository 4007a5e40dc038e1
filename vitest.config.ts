import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** The time-out only ends what hangs: what a test waits for has a deadline of its own, and machines are slow at times. */
const project = (name: string, testTimeout: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout,
    hookTimeout: testTimeout,
    pool: 'forks' as const,
  },
});

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      project('unit', 60_000),
      {
        test: {
          ...project('integration', 180_000).test,
          globalSetup: 'test/support/bundle-setup.ts',
        },
      },
      project('system', 180_000),
      {
        test: {
          ...project('containers', 180_000).test,
          globalSetup: 'test/containers/setup.ts',
          // Each makes a whole machine busy.
          fileParallelism: false,
        },
      },
    ],
  },
});
