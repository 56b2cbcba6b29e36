/**
 * A copy of a share of the requests goes to another backend, whose answer is read and thrown away. The caller never
 * waits for it, and what becomes of it changes nothing but the mirror's own counters.
 */
import type { ProxyContext } from "./context.ts";
import type { Mirror } from "./snapshot.route.ts";
import type { Reply, Upstream } from "./upstream.ts";

/** `head` is the request's head with its empty line; `body` all of its body, as it goes on the wire. */
export function mirror(
  context: ProxyContext,
  settings: Mirror,
  head: string,
  body: string,
  isHead: boolean,
): void {
  if (context.chance() * 10_000 >= settings.share || body.length > (settings.bodyBytesMax ?? 65_536)) return;
  const backend = context.backend(settings.backend);
  const now = context.now();
  if (!backend?.admits(now) || !backend.enter(now)) return;
  const upstream = backend.take(now, false) ?? backend.open();
  if (!upstream) {
    backend.leave(undefined, now);
    return;
  }
  let isOver = false;
  const end = (ok: boolean, problem?: string) => {
    if (isOver) return;
    isOver = true;
    timer.cancel();
    backend.leave(ok, context.now(), problem);
  };
  const send = (to: Upstream) => to.out.write(head + body);
  const reply: Reply = {
    isHead,
    isSent: true,
    wantsUpgrade: false,
    onConnected: () => send(upstream),
    onInform: () => {},
    onSwitch: () => upstream.destroy(),
    onHead: ({ status }, _framing, _body, done) => {
      if (done) end(status < 500, `status ${status}`);
    },
    onBody: (_body, done) => {
      if (done) end(true);
    },
    onDrain: () => {},
    onFail: (_upstream, _flag, message) => end(false, message),
  };
  const timer = context.after(30_000, () => upstream.fail("UT", "too slow"));
  upstream.begin(reply);
  if (upstream.connected) send(upstream);
}
