/**
 * The package on a machine with systemd, from its installation to its removal; the tests follow one another on the same
 * machine, as they would in its life.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartedTestContainer } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { StatusSeen } from '../support/device.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Bench, startBench } from './support/bench.ts';
import { inside, mustRun, systemdContainer } from './support/docker.ts';
import { BASE_IMAGE } from './support/images.ts';

const UNIT = 'lockkeeper.service';

describe.skipIf(inject('noDocker') !== '')('the package under systemd', () => {
  let bench: Bench;
  let machine: StartedTestContainer;
  let isMade = false;
  const sh = (script: string): Promise<string> => mustRun(machine, 'sh', '-c', script);
  const property = async (name: string): Promise<string> =>
    mustRun(machine, 'systemctl', 'show', '--value', '-p', name, UNIT);
  const mainPid = async (): Promise<number> => Number(await property('MainPID'));
  const restarts = async (): Promise<number> => Number(await property('NRestarts'));
  const status = async (): Promise<StatusSeen> =>
    JSON.parse(await mustRun(machine, 'lockkeeper', 'status', '--json')) as StatusSeen;
  /** Programs of the package that run, each with its pid and arguments. */
  const running = async (): Promise<readonly { readonly pid: number; readonly args: string }[]> => {
    const text = await sh(
      'cd /proc && for p in [0-9]*; do echo "$p $(tr "\\0" " " <$p/cmdline)"; done 2>/dev/null',
    );
    return text.split('\n').flatMap((line) => {
      const [, pid, args = ''] = /^(\d+) (\/usr\/lib\/lockkeeper\/.*)$/.exec(line) ?? [];
      return pid === undefined ? [] : [{ pid: Number(pid), args }];
    });
  };
  /** What `lockkeeper doctor` finds about the service. */
  const serviceFinding = async (): Promise<unknown> => {
    const { output } = await inside(machine, 'lockkeeper', 'doctor', '--json');
    const { findings } = JSON.parse(output) as { readonly findings: readonly { readonly check: string }[] };
    return findings.find(({ check }) => check === 'service');
  };
  const signal = (pid: number, name: string): Promise<string> => sh(`kill -${name} ${pid}`);
  /** Waits until the device serves and its status looks right. */
  const until = async (look: (seen: StatusSeen) => boolean, what: string): Promise<StatusSeen> =>
    waitFor(
      async () => {
        const { code, output } = await inside(machine, 'lockkeeper', 'status', '--json');
        if (code !== 0) return undefined;
        const seen = JSON.parse(output) as StatusSeen;
        return look(seen) ? seen : undefined;
      },
      { what, deadlineMs: 45_000, everyMs: 100 },
    );
  const isUp = (seen: StatusSeen): boolean =>
    seen.session.state === 'connected' && seen.endpoints.every(({ state }) => state === 'up');
  /** Load that must lose nothing, from before `change` until it has been served a while after it. */
  const underLoad = async (clients: number, change: () => Promise<void>): Promise<number> => {
    const visitors = bench.load(clients);
    await waitFor(() => visitors.good() > 5 * clients, { what: 'the load has begun' });
    await change();
    const count = visitors.good();
    await waitFor(() => visitors.good() > count + 5 * clients, { what: 'the load goes on' });
    const { good, bad } = await visitors.stop();
    expect(bad).toEqual([]);
    return good;
  };
  const packageFile = async (version: string): Promise<string> => {
    const dir = inject('packagesDir');
    const name = (await readdir(dir)).find((file) => file.includes(`_${version}_`));
    if (name === undefined) throw new Error(`there is no package of version ${version} in ${dir}`);
    return join(dir, name);
  };

  beforeAll(async () => {
    bench = await startBench();
    machine = await systemdContainer(BASE_IMAGE)
      .withCopyFilesToContainer([
        { source: await packageFile('1.0.0'), target: '/root/old.deb' },
        { source: await packageFile('1.0.1'), target: '/root/new.deb' },
      ])
      .start();
    isMade = true;
    await waitFor(
      async () => (await inside(machine, 'systemctl', 'is-system-running')).output.includes('running'),
      {
        what: 'systemd has started',
        deadlineMs: 30_000,
      },
    );
  }, 60_000);
  afterAll(async () => {
    if (isMade) await machine.stop();
    await bench.end();
  });

  test('installs, makes its user, and waits for a configuration', async () => {
    await mustRun(machine, 'dpkg', '-i', '/root/old.deb');
    expect(await sh('id -nG lockkeeper')).toBe('lockkeeper');
    expect(await property('ActiveState')).toBe('inactive');
    expect(await property('UnitFileState')).toBe('enabled');
  });

  test('the unit is confined to an exposure of 1.5 or better', async () => {
    const unit = await property('FragmentPath');
    // Ends with an error above the threshold, which is in tenths.
    await mustRun(machine, 'systemd-analyze', 'security', '--offline=yes', '--threshold=15', unit);
    expect(
      (await inside(machine, 'systemd-analyze', 'security', '--offline=yes', '--threshold=10', unit)).code,
    ).not.toBe(0);
  });

  test('starts, is ready when the control socket answers, and opens what the configuration asks for', async () => {
    await machine.copyContentToContainer([...(await bench.files())]);
    await mustRun(machine, 'systemctl', 'start', UNIT);
    const seen = await until(isUp, 'the endpoint is up');
    expect((await bench.visit()).status).toBe(200);
    expect(seen.pid).toBe(await mainPid());
    expect(await sh(`ps -o user= -p ${seen.pid} 2>/dev/null || stat -c %U /proc/${seen.pid}`)).toBe(
      'lockkeeper',
    );
    expect(await sh('stat -c "%a %G" /run/lockkeeper/lockkeeper.sock')).toBe('660 lockkeeper');
    await waitFor(async () => (await property('StatusText')).includes('1 of 1 endpoints up'), {
      what: 'the line in systemctl status',
    });
    expect(await serviceFinding()).toMatchObject({ code: 'OK' });
  });

  test('20 reloads under load: no request lost, no restart, each time a new supervisor over the same tunnels', async () => {
    const before = await status();
    const restartsBefore = await restarts();
    let pids: ReadonlySet<string> = new Set();
    await underLoad(50, async () => {
      const show = `systemctl show --value -p MainPID ${UNIT}`;
      const script = `${show}; for i in $(seq 20); do systemctl reload ${UNIT} && ${show} || exit 1; done`;
      pids = new Set((await sh(script)).split('\n'));
    });
    expect(pids.size).toBe(21);
    expect(await restarts()).toBe(restartsBefore);
    expect(await property('ActiveState')).toBe('active');
    const after = await until(isUp, 'the endpoint is up');
    expect(after.pid).toBe(await mainPid());
    expect(after.tunnels.map(({ pid }) => pid)).toEqual(before.tunnels.map(({ pid }) => pid));
  }, 180_000);

  test('a reload with a broken configuration fails, names the key, and changes nothing', async () => {
    const before = await mainPid();
    await sh('cp /etc/lockkeeper/config.json /root/ && echo "{}" >/etc/lockkeeper/config.json');
    const { code } = await inside(machine, 'systemctl', 'reload', UNIT);
    expect(code).not.toBe(0);
    expect(await sh(`journalctl -u ${UNIT} -n 20 -o cat`)).toContain('device.id');
    await sh('cp /root/config.json /etc/lockkeeper/');
    expect(await mainPid()).toBe(before);
    expect((await until(isUp, 'the endpoint is up')).pid).toBe(before);
  });

  test('a new version that cannot even start changes nothing', async () => {
    const before = await mainPid();
    await sh(
      'cd /usr/lib/lockkeeper && cp lockkeeperd.js /root/ && echo "throw new Error()" >lockkeeperd.js',
    );
    await signal(before, 'HUP');
    await waitFor(async () => (await sh(`journalctl -u ${UNIT} -n 50 -o cat`)).includes('did not start'), {
      what: 'the refusal in the log',
      deadlineMs: 40_000,
    });
    await sh('cp /root/lockkeeperd.js /usr/lib/lockkeeper/');
    expect(await mainPid()).toBe(before);
    expect(await property('ActiveState')).toBe('active');
    expect((await until(isUp, 'the endpoint is up')).pid).toBe(before);
  });

  test('a killed supervisor costs no request: the next one adopts the tunnel, which needs nothing of the old start', async () => {
    const before = await status();
    const [tunnel] = before.tunnels;
    // The one before was handed over to, so the manager has to notice the end of a process it has not started.
    await underLoad(20, async () => {
      await signal(before.pid, 'KILL');
      const visitor = async (): Promise<readonly number[]> => {
        const answers: number[] = [];
        for (let i = 0; i < 50; i += 1) answers.push((await bench.visit()).status);
        return answers;
      };
      // Each on a connection of its own.
      const answers = (await Promise.all(Array.from({ length: 20 }, visitor))).flat();
      expect(answers.filter((answer) => answer !== 200)).toEqual([]);
      await until((seen) => isUp(seen) && seen.pid !== before.pid, 'the next supervisor');
    });
    const after = await status();
    expect(after.tunnels).toMatchObject([{ pid: tunnel?.pid }]);
    expect(after.pid).toBe(await mainPid());
    // Files that it has open lie in the state folder: none went away with the start that made it.
    const { output: open } = await machine.exec(['find', `/proc/${tunnel?.pid}/fd`, '-printf', '%l\\n'], {
      user: 'lockkeeper',
    });
    expect(open).toContain('/var/lib/lockkeeper/run/');
    expect(open).not.toMatch(/\(deleted\)|^\/tmp|^\/run/m);
  });

  test('after 20 kills there is one supervisor and one tunnel process', async () => {
    const [tunnel] = (await status()).tunnels;
    // A killed one is followed by another, not by the same number; the loop has 10 s for each.
    const show = `systemctl show --value -p MainPID,SubState ${UNIT} | paste -sd' '`;
    await sh(`for i in $(seq 20); do
      pid=$(systemctl show --value -p MainPID ${UNIT}); kill -KILL $pid
      for look in $(seq 100); do
        now=$(${show}); case "$now" in "$pid "*|0\\ *) ;; *running) continue 2 ;; esac; sleep 0.1
      done
      echo "no start after kill $i: $now"; exit 1
    done`);
    const seen = await until(isUp, 'the endpoint is up');
    expect(seen.tunnels).toMatchObject([{ pid: tunnel?.pid }]);
    expect(new Set((await running()).map(({ pid }) => pid))).toEqual(new Set([seen.pid, tunnel?.pid]));
    expect(await serviceFinding()).toMatchObject({ code: 'SERVICE_RESTARTS', severity: 'warning' });
  }, 180_000);

  test('a supervisor that hangs is killed by the watchdog, and no request notices', async () => {
    const before = await status();
    const count = await restarts();
    await underLoad(5, async () => {
      await signal(before.pid, 'STOP');
      await until((seen) => seen.pid !== before.pid && isUp(seen), 'the next supervisor');
    });
    expect(await restarts()).toBe(count + 1);
    expect(await sh(`journalctl -u ${UNIT} -n 50 -o cat`)).toContain('Watchdog timeout');
    expect((await status()).tunnels).toMatchObject([{ pid: before.tunnels[0]?.pid }]);
  }, 120_000);

  test('an upgrade takes over from the running version: state and tunnel stay, no request is lost', async () => {
    const before = await status();
    const key = await sh('sha256sum /var/lib/lockkeeper/device-key*');
    await sh('echo "#mine" >>/etc/default/lockkeeper');
    await underLoad(20, async () => {
      await mustRun(machine, 'dpkg', '-i', '/root/new.deb');
    });
    const after = await until(isUp, 'the endpoint is up');
    expect(await mustRun(machine, 'lockkeeper', '--version')).toBe('1.0.1');
    expect(after).toMatchObject({ version: '1.0.1', tunnels: [{ pid: before.tunnels[0]?.pid }] });
    expect(after.pid).not.toBe(before.pid);
    expect(await sh('sha256sum /var/lib/lockkeeper/device-key*')).toBe(key);
    expect(await sh('tail -n 1 /etc/default/lockkeeper')).toBe('#mine');
  });

  test('a stop lets requests in flight finish and leaves nothing', async () => {
    const slow = bench.visit('/slow/5000');
    await waitFor(async () => (await status()).endpoints.some(({ inFlight }) => inFlight > 0), {
      what: 'the request is in flight',
    });
    await mustRun(machine, 'systemctl', 'stop', UNIT);
    expect((await slow).status).toBe(200);
    expect(await running()).toEqual([]);
    expect((await bench.visit()).status).toBe(404);
    expect(await property('Result')).toBe('success');
  });

  test('a stop of a supervisor that hangs leaves nothing either', async () => {
    await mustRun(machine, 'systemctl', 'start', UNIT);
    const { pid } = await until(isUp, 'the endpoint is up');
    // systemd wakes what is stopped; this one falls asleep again at once.
    await sh(`while kill -STOP ${pid} 2>/dev/null; do :; done >/dev/null 2>&1 &`);
    await mustRun(machine, 'systemctl', 'stop', UNIT);
    expect(await property('Result')).toBe('timeout');
    expect(await running()).toEqual([]);
    expect((await bench.visit()).status).toBe(404);
  });

  test('is removed without a trace but its state, and purged with it', async () => {
    await inside(machine, 'systemctl', 'reset-failed', UNIT);
    await mustRun(machine, 'systemctl', 'start', UNIT);
    await until(isUp, 'the endpoint is up');
    await mustRun(machine, 'dpkg', '-r', 'lockkeeper');
    expect(await running()).toEqual([]);
    expect(await sh('ls /usr/lib/lockkeeper /usr/bin/lockkeeper 2>/dev/null; true')).toBe('');
    expect(await sh('ls /var/lib/lockkeeper')).toContain('device-key');
    await mustRun(machine, 'dpkg', '-P', 'lockkeeper');
    expect(
      await sh('ls -d /var/lib/lockkeeper /etc/lockkeeper /etc/default/lockkeeper 2>/dev/null; true'),
    ).toBe('');
    expect((await inside(machine, 'getent', 'passwd', 'lockkeeper')).code).not.toBe(0);
  });
});
