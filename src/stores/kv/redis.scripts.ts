/**
 * The operations that Redis has no command for, as Lua: each runs whole or not at all, on one key. They are
 * sent by their hash and in full only when the server does not know them yet.
 */
import { script } from "../redis.connection.ts";
import { roundingMs } from "./gcra.ts";

/** ARGV: expected value, new value, time to live in ms or "". */
export const setIfEquals = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`);

/** ARGV: expected value. */
export const deleteIfEquals = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

/** ARGV: step, time to live in ms. */
export const incrementWithTtl = script(`
local isNew = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if isNew then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum`);

/**
 * gcra.ts in Lua. ARGV: burst, interval in ms, cost. Milliseconds count from 2023-11-14 and not from 1970,
 * which leaves a double enough digits for fractions of a microsecond. The times go back as text since Lua
 * replies are integers.
 */
export const gcraOf = (now: string): string => `
local now = ${now}
local burst, interval, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local capacity = burst * interval
local before = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local retryAfter = math.max(0, before + math.min(cost, burst) * interval - capacity - now)
local allowed = retryAfter <= ${roundingMs}
local after = before
if allowed then
  retryAfter = 0
  after = before + cost * interval
  if after > now then
    redis.call('SET', KEYS[1], string.format('%.17g', after), 'PX', math.ceil(after - now))
  end
end
local remaining = math.max(0, math.floor((capacity - (after - now) + ${roundingMs}) / interval))
local function text(number) return string.format('%.17g', number) end
return {allowed and 1 or 0, remaining, text(retryAfter), text(after - now)}`;

/** The server's own time, so that the clocks of the nodes do not matter. */
export const gcraScript = script(
  `local time = redis.call('TIME')${gcraOf("(time[1] - 1700000000) * 1000 + time[2] / 1000")}`,
);
