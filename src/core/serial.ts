/** Makes a queue: each task begins when the one before has ended, however that ended. */
export const createSerial = (): (<R>(task: () => Promise<R>) => Promise<R>) => {
  let queue: Promise<unknown> = Promise.resolve();
  return (task) => {
    const run = queue.then(task);
    queue = run.catch(() => undefined);
    return run;
  };
};
