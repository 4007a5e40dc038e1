import { expect, test } from 'vitest';
import { openKills, runSeed } from '../../bench/rotate-kills.ts';
import { startable } from '../support/spawn-node.ts';

// The row of 500 is bench/rotate-kills.ts.
test('killed at random points, then resumed: every device has exactly one credential and runs on it', async () => {
  const { desk, wholeMs, close } = await openKills([process.execPath, startable('src/lockkeeper.ts')]);
  try {
    let kills = 0;
    for (let seed = 9001; seed <= 9005; seed += 1) {
      const result = await runSeed(desk, seed, wholeMs);
      expect(result.flaws).toEqual([]);
      kills += result.kills;
    }
    expect(kills).toBeGreaterThan(0);
  } finally {
    await close();
  }
});
