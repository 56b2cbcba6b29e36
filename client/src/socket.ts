/**
 * A socket carries messages of text and bytes both ways. Two exist: the WebSocket of browsers and of Node (here), and
 * one over node:http (node-socket.ts), which sends a header field and is several times cheaper.
 */
import { HotSwapConnectionError } from "./problem.ts";

export interface SocketRequest {
  /** ws: or wss: */
  url: string;
  protocol: string;
  token: string | undefined;
}

export interface SocketEvents {
  onOpen(): void;
  onMessage(data: string | Uint8Array<ArrayBuffer>): void;
  /** Told once, also when it never opened; `error` says why it is known that it could not. */
  onClose(code: number, reason: string, error?: unknown): void;
}

export interface Socket {
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
  /** Bytes that have not left yet. */
  readonly bufferedAmount: number;
}

export type OpenSocket = (request: SocketRequest, events: SocketEvents) => Socket;

/** A page cannot set header fields here, so the token goes along as a subprotocol; never in the address. */
export const openWebSocket: OpenSocket = ({ url, protocol, token }, events) => {
  const protocols = token === undefined ? [protocol] : [protocol, `hotswap.bearer.${token}`];
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  let isOpen = false;
  socket.addEventListener("open", () => {
    isOpen = true;
    events.onOpen();
  });
  socket.addEventListener("message", ({ data }: { data: string | ArrayBuffer }) => {
    events.onMessage(typeof data === "string" ? data : new Uint8Array(data));
  });
  socket.addEventListener("close", ({ code, reason }) => {
    // A page is not told why; that nothing was sent is all that is known.
    const refused = new HotSwapConnectionError("refused", `${new URL(url).host} did not take the connection`);
    events.onClose(code, reason, isOpen ? undefined : refused);
  });
  return {
    send: (data) => socket.send(data),
    close: () => socket.close(1000),
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
  };
};
