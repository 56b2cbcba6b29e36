/**
 * Lets an accepted connection be read as a dialled one can be, by `onread` into memory of ours. Node has that option
 * for sockets that it is asked to make, and none for those that a server accepts: each of their reads is an allocation
 * of 64 KB, and with large bodies V8 collects the whole heap again and again.
 *
 * So the connection is moved to a socket that was made with the option, by the same steps that a server takes. They are
 * no public part of Node; where they are not as expected, the accepted socket is read as it is (accepted.test.ts tells
 * which of the two this Node does).
 */
import { type OnReadOpts, type Server, Socket } from "node:net";

interface Inner {
  _handle?: { useUserBuffer?: unknown } | null;
  _server?: Server | null;
}

/** Undefined when it cannot be done. The connection must not have been read from (`pauseOnConnect`). */
export function moved(accepted: Socket, server: Server, onread: OnReadOpts): Socket | undefined {
  const from: Inner = accepted as unknown as Inner;
  const handle = from._handle;
  if (typeof handle?.useUserBuffer !== "function" || from._server !== server) return undefined;
  from._handle = null;
  from._server = null;
  const options = { handle, allowHalfOpen: accepted.allowHalfOpen, onread };
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  (socket as unknown as Inner)._server = server; // counts it among its connections
  return socket;
}
