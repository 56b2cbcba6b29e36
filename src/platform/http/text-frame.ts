/**
 * A WebSocket frame of text as a server sends it (RFC 6455 §5.2): whole, unmasked, not compressed. For what is made
 * once and written to many connections; everything else is the business of `ws`.
 */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const headBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafeSlow(headBytes + length);
  frame[0] = 0x81;
  frame[1] = headBytes === 2 ? length : headBytes === 4 ? 126 : 127;
  if (headBytes === 4) frame.writeUInt16BE(length, 2);
  if (headBytes === 10) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.write(text, headBytes);
  return frame;
}
