/** A small upstream in a process of its own; prints its URL. `/slow/MS` answers after so many milliseconds. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  const slow = /^\/slow\/(\d+)/.exec(request.url ?? '');
  if (slow === null) response.end('hello');
  else setTimeout(() => response.end('slow'), Number(slow[1]));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
