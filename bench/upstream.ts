/**
 * A small upstream in a process of its own; prints its URL. `/slow/MS` answers after so many milliseconds, a WebSocket
 * gets back what it sends.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = createServer((request, response) => {
  const slow = /^\/slow\/(\d+)/.exec(request.url ?? '');
  if (slow === null) response.end('hello');
  else setTimeout(() => response.end('slow'), Number(slow[1]));
});
new WebSocketServer({ server }).on('connection', (socket) => {
  socket.on('error', () => undefined);
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
