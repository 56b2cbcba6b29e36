/** What an exchange needs of its client's connection. */
export interface Client {
  readonly address: string;
  readonly isTrusted: boolean;
  /** X-Forwarded-Proto and -Port as lines. */
  readonly forwardedLines: string;
  /** The certificate that it showed, as a line for the backend. */
  readonly certificateLine: string;
  /** Both, and X-Forwarded-For with its address alone: for who is not trusted. */
  readonly ownLines: string;
  readonly protocol: "1.0" | "1.1" | "2";
  /** False: not so fast. */
  write(data: string | Buffer): boolean;
  /**
   * Writes bytes that somebody may go on to read into. True when they may do so at once; otherwise these are needed
   * until they are written.
   */
  writeView(view: Buffer): boolean;
  /** Less is waiting to be written than may. */
  readonly flows: boolean;
  /** What is written until `uncork` goes together. */
  cork(): void;
  uncork(): void;
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
