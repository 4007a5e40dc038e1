/** Containers for tests: on the machine's own network, so that they meet the sandbox on loopback; gone with the test. */
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { LOCKKEEPER_IMAGE } from './images.ts';

// Its helper container could only be pulled. What is left after a crash is found by its label.
process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
// Without this it looks for Docker's bridge, which is not there when nothing needs it.
process.env['TESTCONTAINERS_HOST_OVERRIDE'] = '127.0.0.1';

export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Runs a command in the container, as the user of its image. */
export const inside = async (
  container: StartedTestContainer,
  ...command: readonly string[]
): Promise<Ended> => {
  const { exitCode, output } = await container.exec([...command]);
  return { code: exitCode, output };
};

/** As `inside`, and the command must end well. */
export const mustRun = async (
  container: StartedTestContainer,
  ...command: readonly string[]
): Promise<string> => {
  const { code, output } = await inside(container, ...command);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}\n${output}`);
  return output.trim();
};

/** A container whose first process is systemd. It gets the right to mount, which sandboxes of units need; no more. */
class SystemdContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    // systemd makes control groups of its own below the one it was started in.
    Object.assign(this.hostConfig, { CgroupnsMode: 'host' });
    this.createOpts.StopSignal = 'SIGRTMIN+3';
    this.withNetworkMode('host')
      .withEnvironment({ container: 'docker' })
      .withAddedCapabilities('SYS_ADMIN')
      .withSecurityOpt('seccomp=unconfined', 'apparmor=unconfined')
      .withTmpFs({ '/run': 'rw,mode=755', '/run/lock': 'rw', '/tmp': 'rw' })
      .withBindMounts([{ source: '/sys/fs/cgroup', target: '/sys/fs/cgroup', mode: 'rw' }])
      .withCommand(['/sbin/init']);
  }
}

export const systemdContainer = (image: string): GenericContainer => new SystemdContainer(image);

/** The image with the options that the documentation tells people to use. */
export class LockkeeperContainer extends GenericContainer {
  /** `folder` of this machine becomes `/etc/lockkeeper`. */
  constructor(folder: string) {
    super(LOCKKEEPER_IMAGE);
    Object.assign(this.hostConfig, { ReadonlyRootfs: true, CapDrop: ['ALL'] });
    this.withNetworkMode('host')
      .withSecurityOpt('no-new-privileges')
      .withBindMounts([{ source: folder, target: '/etc/lockkeeper', mode: 'ro' }])
      // Otherwise it waits for Docker's first health check, which comes after half a minute.
      .withWaitStrategy(Wait.forLogMessage('lockkeeperd started'));
  }
}
