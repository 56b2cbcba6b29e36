/** What an exchange needs of its client's connection. */
import type { Source } from "./outlet.ts";

export interface Client extends Source {
  readonly address: string;
  readonly isTrusted: boolean;
  /** X-Forwarded-Proto and -Port as lines. */
  readonly forwardedLines: string;
  /** The certificate that it showed, as a line for the backend. */
  readonly certificateLine: string;
  /** Both, and X-Forwarded-For with its address alone: for who is not trusted. */
  readonly ownLines: string;
  readonly protocol: "1.0" | "1.1" | "2";
  write(data: string): void;
  /** A part of an answer's body, or of a tunnel. */
  pass(bytes: Buffer, from: Source): void;
  passChunk(bytes: Buffer, from: Source): void;
  /** What is written goes out at once, or nearly so. */
  readonly flows: boolean;
  pause(): void;
  resume(): void;
  /** The backend takes the body now. */
  takeBody(): void;
  /** The answer is out. Not `keep`: the connection ends, after what was written. */
  done(keep: boolean): void;
  /** Ends without ceremony: what was sent is not whole. */
  cut(): void;
  /** From here on bytes go to `exchange.tunnel`. */
  becomeTunnel(): void;
}
