/**
 * Loaded into every test file's process: ends it when it does not end by itself. The runner's own timeout holds
 * for tests only; a file whose tests are over but whose server still runs would hang the run for ever.
 */
const DEADLINE_MS = 240_000;

if (process.env.NODE_TEST_CONTEXT) {
  const timer = setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(", ");
    console.error(`this file did not end within ${DEADLINE_MS / 1000} s; still open: ${open}`);
    process.exit(1);
  }, DEADLINE_MS);
  timer.unref();
}
