import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { edgeAnswer, sendAnswer } from '../answer.ts';
import type { Exchange } from '../exchange.ts';
import { splice } from '../splice.ts';
import { failureAnswer } from '../stream-failure.ts';
import type { StreamOpener } from '../stream-opener.ts';

/** What a plain request to an endpoint with WebSocket conversion gets. */
export const WEBSOCKET_EXPECTED = edgeAnswer(
  400,
  'ERR_NGROK_3206',
  'This endpoint expects a WebSocket request with a "Connection: upgrade" header.',
);

/** The largest message that is taken, bytes. */
const MOST_MESSAGE_BYTES = 16 * 1024 * 1024;

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MOST_MESSAGE_BYTES,
  clientTracking: false,
});

/** Speaks WebSocket with the visitor and passes the bytes of its messages to and from a stream of their own. */
export const joinWebsocket = (
  opener: StreamOpener,
  exchange: Exchange,
  socket: Duplex,
  first: Buffer,
): void => {
  const { req, res, endpoint, rules, visit, head } = exchange;
  if (req.headers.upgrade?.toLowerCase() !== 'websocket') {
    sendAnswer(res, WEBSOCKET_EXPECTED);
    return;
  }
  opener.open(endpoint, visit, { proxyProto: rules.proxyProto, passthroughTls: false }).then(
    (stream) => {
      stream.on('error', () => stream.destroy());
      res.detachSocket(req.socket);
      // A handshake that fails ends the socket without giving a WebSocket.
      socket.once('close', () => stream.destroy());
      server.handleUpgrade(req, socket, first, (websocket) =>
        splice(createWebSocketStream(websocket), stream),
      );
    },
    (error: Error) => sendAnswer(res, failureAnswer(error, head.host)),
  );
};
