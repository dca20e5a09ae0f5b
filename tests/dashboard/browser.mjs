// A headless Chromium for the scripts of this folder: pages whose scripts may cause no error, and steps.
//
// Environment: URL of the host, CHROMIUM (the program), OUT (a folder for screenshots).

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

export const { URL: url, OUT: out } = process.env;
export const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const problems = [];

/** A browser without cookies, whose scripts may cause no error. */
export async function open(options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`error in a script: ${error.message}`));
  page.on("console", (message) => {
    // The browser reports every refusal as an error; mistakes are refused, and logging in begins with a refusal. A host that is
    // not ready says so with status 503.
    const isExpected = /status of 4(00|01|12) /.test(message.text()) || message.location().url === `${url}/readyz`;
    if (message.type() === "error" && !isExpected) problems.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) problems.push(`a request to another place: ${request.url()}`);
  });
  return page;
}

export async function step(name, action) {
  await action();
  assert.deepEqual(problems, [], name);
  console.log(`ok: ${name}`);
}

/** Takes a screenshot of a page that must not be too wide, and must show no value that is not for people. */
export async function shoot(page, name) {
  const texts = await page.locator("main").innerText();
  assert.doesNotMatch(texts, /^(false|true|null|undefined|NaN|\[object Object\])$/m, name);
  await page.screenshot({ path: `${out}/${name}.png`, fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide`);
}

/** Runs the steps of a script. Exits with 1 and the reason if one fails. */
export async function run(steps) {
  try {
    await steps();
    await browser.close();
  } catch (error) {
    console.error(error.message, problems);
    await browser.close();
    process.exit(1);
  }
}
