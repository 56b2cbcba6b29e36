/**
 * A lock between processes of one machine: a file that holds the owner's pid. A lock whose owner is dead is
 * broken; breaking is itself done under a second lock, since otherwise two waiters could both see a dead
 * owner and the slower one would remove the faster one's fresh lock.
 *
 * Plain JavaScript for Node >= 18.
 */
import { mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const POLL_MS = 100;
const BREAKING_MS_MAX = 10_000; // breaking takes microseconds; a breaker older than this died doing it

/** Runs `work` while holding the lock at `file`; `onWait(pid)` is called once when another process has it. */
export async function withLock(file, work, onWait = () => {}) {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!take(file)) {
    const owner = ownerOf(file);
    if (owner !== undefined && isDead(owner)) breakLock(file);
    else {
      if (!told && owner !== undefined) onWait(owner);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release);
    release();
  }
}

function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

// Undefined while the owner has made the file but not written its pid yet, or has just removed it.
function ownerOf(file) {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}

function isDead(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH"; // EPERM: alive, and another user's
  }
}

function breakLock(file) {
  const breaking = `${file}.breaking`;
  try {
    mkdirSync(breaking);
  } catch {
    try {
      if (Date.now() - statSync(breaking).mtimeMs > BREAKING_MS_MAX) rmdirSync(breaking);
    } catch {
      // another waiter finished breaking it in between
    }
    return;
  }
  try {
    const owner = ownerOf(file);
    if (owner !== undefined && isDead(owner)) rmSync(file, { force: true });
  } finally {
    rmdirSync(breaking);
  }
}
