// Prints `passed failed skipped` of a vitest JSON report.
// Usage: node .ci/count.mjs <report> <exit status of the run>
// A run that failed without a failed test (a file that does not load, an unhandled error, a crash, no
// report) counts as one failed, so that nothing passes by not running.
import { readFileSync } from 'node:fs';

const [path, status] = process.argv.slice(2);

function readReport() {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`no report: ${error.message}`);
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, success: false };
  }
}

const report = readReport();
const isBroken = status !== '0' || !report.success || report.numPassedTests === 0;
const failed = report.numFailedTests === 0 && isBroken ? 1 : report.numFailedTests;
console.log(report.numPassedTests, failed, report.numPendingTests + report.numTodoTests);
