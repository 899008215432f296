// Screenshots of pages, to be looked at: node shots.mjs URL FOLDER NAME=PATH...
// SIZES=1440,400 SCHEMES=light,dark; FOLD=1: what fits the window alone; PAIRS=1: made-up HA pairs.
import { mkdirSync } from "node:fs";
import { launch, open } from "./browser.mjs";
import { route } from "./pairs.fixture.mjs";

const [url, folder, ...wanted] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const sizes = (process.env["SIZES"] ?? "1440,400").split(",").map(Number);
const schemes = (process.env["SCHEMES"] ?? "light,dark").split(",");
const browser = await launch();
try {
  for (const scheme of schemes) {
    for (const width of sizes) {
      for (const one of wanted) {
        const [name, path] = [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)];
        const { page, context, faults } = await open(browser, url, { width, height: width > 800 ? 900 : 860, scheme });
        if (process.env["PAIRS"]) await route(page);
        await page.goto(`${url}/ui/${path}`);
        await page.waitForLoadState("networkidle");
        await page.waitForTimeout(700);
        await page.screenshot({ path: `${folder}/${name}-${width}-${scheme}.png`, fullPage: !process.env["FOLD"] });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) console.log(`${name} ${width} ${scheme}: ${wide} px too wide`);
        for (const fault of faults()) console.log(`${name} ${width} ${scheme}: ${fault}`);
        await context.close();
      }
    }
  }
} finally {
  await browser.close();
}
