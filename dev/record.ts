import { chromium } from "playwright-core";
import { recordTask } from "./recording.ts";
import { serveSite } from "./site/serve.ts";
import { TASKS } from "./tasks.ts";

// Records the sample anew: npm run record [-- NAME…]. Needs Chromium; CHROMIUM names another one.
const SITE = "http://shop.example.com";
const VIEWPORT = { width: 1280, height: 720 };

const { CHROMIUM: executablePath = "/usr/bin/chromium" } = process.env;
const wanted = process.argv.slice(2);
await using site = await serveSite(0);
const browser = await chromium.launch({
  executablePath,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    `--host-resolver-rules=MAP shop.example.com:80 127.0.0.1:${site.port}`,
  ],
});
try {
  for (const task of TASKS) {
    if (wanted.length > 0 && !wanted.includes(task.id)) continue;
    const context = await browser.newContext({
      viewport: VIEWPORT,
      deviceScaleFactor: 1,
      locale: "en-US",
      timezoneId: "UTC",
    });
    const directory = new URL(`sample/${task.id}/`, import.meta.url);
    const events = await recordTask(context, { ...task, site: SITE }, directory);
    await context.close();
    process.stdout.write(`${task.id}: ${events} events\n`);
  }
} finally {
  await browser.close();
}
