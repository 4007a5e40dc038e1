import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** They wait for real intervals of the product, which their size does not tell. */
const LONGEST: readonly string[] = [
  'daemon-recovery',
  'faults-clock',
  'daemon-mosquitto',
  'daemon-rekey',
  'signed-cli',
  'faults-disk',
  'tunnel-traffic',
  'fleet-enroll',
  'fleet-rotate',
].map((name) => `/test/integration/${name}.test.ts`);

const isLong = ({ moduleId }: TestSpecification): boolean => LONGEST.some((path) => moduleId.endsWith(path));

/** The longest files first: without the times of an earlier run vitest goes by size, and the last one runs alone. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = new Map(sorted.map((file, index) => [file, index]));
    // Projects stay one after the other.
    return [...sorted].sort((a, b) =>
      a.project === b.project && isLong(a) !== isLong(b)
        ? Number(isLong(b)) - Number(isLong(a))
        : (place.get(a) ?? 0) - (place.get(b) ?? 0),
    );
  }
}
