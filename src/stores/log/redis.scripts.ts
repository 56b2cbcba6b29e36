/**
 * What is done to a partition in Redis, as Lua: each script runs whole or not at all, also in the append-only
 * file. KEYS: the stream of chunks, and the hash of what is known of the partition:
 *
 *   epoch    of the writer that may append; a writer with a smaller one is refused for ever
 *   start    offset of the oldest record still stored
 *   end      offset that follows the newest record
 *   bytes    of all chunks ever appended        dropped   bytes of those that were trimmed
 *
 * A chunk is one entry of the stream, its id `<base offset>-<count of records>`, its fields `p`, the bytes
 * before it, and `r`, the records.
 */
import { script } from "../redis.connection.ts";

/** First of a reply. */
export const replies = { fine: 1, missing: 0, fenced: -1, elsewhere: -2 } as const;

/** Behind every chunk that begins at the offset before it. */
export const last = "18446744073709551615";

/** ARGV: the epoch of the new writer, or nothing for the next one. Replies the state. */
export const openScript = script(`
local known = tonumber(redis.call('HGET', KEYS[2], 'epoch') or '0')
local epoch = ARGV[1] ~= '' and tonumber(ARGV[1]) or known + 1
if epoch < known then return {${replies.fenced}, known} end
redis.call('HSET', KEYS[2], 'epoch', string.format('%.0f', epoch))
for _, field in ipairs({'start', 'end', 'bytes', 'dropped'}) do redis.call('HSETNX', KEYS[2], field, 0) end
local state = redis.call('HMGET', KEYS[2], 'epoch', 'start', 'end', 'bytes', 'dropped')
return {${replies.fine}, state[1], state[2], state[3], state[4], state[5]}`);

/** The state, without taking anything over. */
export const stateScript = script(`
local state = redis.call('HMGET', KEYS[2], 'epoch', 'start', 'end', 'bytes', 'dropped')
if not state[1] then return {${replies.missing}} end
return {${replies.fine}, state[1], state[2], state[3], state[4], state[5]}`);

/** ARGV: epoch, base offset, count, records. Only behind the end, so that a repeated one is told apart. */
export const appendScript = script(`
local state = redis.call('HMGET', KEYS[2], 'epoch', 'end', 'bytes')
if not state[1] then return ${replies.missing} end
if state[1] ~= ARGV[1] then return ${replies.fenced} end
if state[2] ~= ARGV[2] then return ${replies.elsewhere} end
redis.call('XADD', KEYS[1], ARGV[2] .. '-' .. ARGV[3], 'p', state[3], 'r', ARGV[4])
redis.call('HINCRBY', KEYS[2], 'end', ARGV[3])
redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[4])
return ${replies.fine}`);

/** ARGV: epoch, offset. Drops the chunks that lie wholly before the offset; replies start and dropped bytes. */
export const trimScript = script(`
local state = redis.call('HMGET', KEYS[2], 'epoch', 'end', 'bytes')
if not state[1] then return {${replies.missing}} end
if state[1] ~= ARGV[1] then return {${replies.fenced}} end
local start, dropped = state[2], state[3]
if tonumber(ARGV[2]) < tonumber(state[2]) then
  local chunk = redis.call('XREVRANGE', KEYS[1], ARGV[2] .. '-${last}', '-', 'COUNT', 1)[1]
  if not chunk then
    chunk = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  end
  start, dropped = string.match(chunk[1], '^%d+'), chunk[2][2]
end
redis.call('XTRIM', KEYS[1], 'MINID', start .. '-0')
redis.call('HSET', KEYS[2], 'start', start, 'dropped', dropped)
return {${replies.fine}, start, dropped}`);
