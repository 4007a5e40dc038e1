import { defineConfig } from 'vitest/config';

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
    projects: [
      project('unit', 20_000),
      project('integration', 60_000),
      project('system', 120_000),
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
