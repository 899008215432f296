// The tasks of docs/ui.md, each done with the clicks that stand there: the table is read, and every row is tried.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { launch, open } from "./browser.mjs";
import * as fixture from "./pairs.fixture.mjs";
import { start } from "./world.mjs";

const table = readFileSync(new URL("../../../docs/ui.md", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => /^\| .* \| \d+ \| /.test(line))
  .map((line) => line.split(/(?<!\\)\|/).slice(1, 4).map((cell) => cell.trim()))
  .map(([task, , clicks]) => ({ task, clicks: Number(clicks) }));

const UP = "sum(rate(http_requests_total[5m]))";

/** Whoever does a task: clicks are counted, what is typed is not. */
function hands(page) {
  let clicks = 0;
  const click = async (target) => {
    clicks++;
    await target.click();
  };
  return {
    page,
    click,
    button: (name) => click(page.getByRole("button", { name }).first()),
    to: (name) => click(page.getByRole("navigation").getByRole("link", { name })),
    /** A list that unfolds: one click on it, one on what is chosen. */
    choose: async (label, value) => {
      clicks += 2;
      await page.getByLabel(label).selectOption(value);
    },
    ask: async (text, key = "Enter") => {
      await page.locator(".cm-content").last().focus();
      await page.keyboard.insertText(text);
      await page.locator(".cm-content").last().filter({ hasText: text }).waitFor();
      await page.keyboard.press(key);
    },
    see: (...what) => page.locator(...what).first().waitFor(),
    read: (text) => page.getByText(text).first().waitFor(),
    clicks: () => clicks,
  };
}

const drawn = (lines) => `.graph-host[data-drawn='${lines}']`;

/** By the words of the table. */
const STORIES = {
  "graph an expression": async ({ ask, see }) => { await ask(UP); await see(drawn(1)); },
  "read the values of now": async ({ ask, see }) => { await ask(UP); await see(".legend-figure", { hasText: /\d/ }); },
  "a second expression": async ({ ask, see, button, page }) => { await ask(UP); await button("Add an expression"); await page.getByRole("textbox", { name: "Expression 2" }).waitFor(); await ask("vector(1)"); await see(".panel:nth-child(2) .graph-host[data-drawn]"); },
  "side by side under one cursor": async ({ button, see, page, world }) => { await page.goto(`${world.url}/ui/query?g0.expr=up&g1.expr=up`); await button("Two columns"); await see(".columns-2"); },
  "mend a mistake": async ({ ask, see }) => { await ask("sum(up) by by", "End"); await see(".cm-lintRange-error"); },
  "what a function takes, argument by argument": async ({ ask, see }) => { await ask("quantile_over_time(", "End"); await see(".cm-signature .now"); },
  "lay an expression out": async ({ ask, button, see }) => { await ask("sum  by(job)( up )", "End"); await button("Format the expression"); await see(".cm-content", { hasText: "sum by (job) (up)" }); },
  "zoom, pan, go back": async ({ ask, see, page }) => {
    await ask(UP);
    await see(drawn(1));
    const before = page.url();
    const box = await page.locator(".u-over").boundingBox();
    await page.mouse.move(box.x + 300, box.y + 90);
    await page.mouse.down();
    await page.mouse.move(box.x + 500, box.y + 90, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL((url) => url.searchParams.has("end"));
    await page.goBack();
    await page.waitForURL(before);
  },
  "where did the time go": async ({ ask, click, page, see }) => { await ask(UP); await click(page.getByRole("tab", { name: "Explain" })); await see(".tree-time"); },
  "histogram over time": async ({ ask, see }) => { await ask("sum by (le) (rate(http_request_duration_seconds_bucket[5m]))"); await see("canvas[data-heat='classic']"); },
  "exemplars on the graph, with their traces": async ({ ask, button, read }) => { await ask("histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"); await button("Exemplars"); await read(/^\d+ exemplars$/); },
  "stored samples before they became one series": async ({ ask, click, page, see }) => { await ask('up{job="node"}'); await click(page.getByRole("tab", { name: "Raw" })); await see("[role=table][aria-label='Samples by replica'] [role=row] >> nth=2"); },
  "when did alerts fire behind this graph": async ({ ask, click, page }) => { await ask(UP); await click(page.locator(".querybar").getByRole("button", { name: "Alerts" })); await page.waitForURL(/alerts=1/); },
  "hand an answer on as a link": async ({ ask, page }) => { await ask(UP); await page.waitForURL(/g0\.expr=sum/); },
  "as curl, PromQL, Grafana panel, Markdown, CSV, JSON, PNG": async ({ ask, button, click, page, see }) => { await ask(UP); await see(drawn(1)); await button("Copy or save this panel"); await click(page.getByRole("menuitem", { name: "curl command" })); },
  "an expression of last week": async ({ ask, page, see, world }) => { await ask(UP); await see(drawn(1)); await page.goto(`${world.url}/ui/query`); await page.locator(".cm-content").focus(); await page.keyboard.press("ArrowUp"); await see(".cm-content", { hasText: "http_requests_total" }); },
  "what fires now": async ({ to, read }) => { await to("Alerts"); await read("TargetDown"); },
  "why is it pending": async ({ to, button, read }) => { await to("Alerts"); await button(/WaitsLong/); await read(/Pending because it has held for/); },
  "what did a rule see at its last evaluations": async ({ to, button, read }) => { await to("Rules"); await button("TargetDown"); await read(/^Last \d+ evaluations$/); },
  "when did an alert fire within the last day": async ({ to, button, see }) => { await to("Alerts"); await button(/TargetDown/); await see(".episode-strip"); },
  "would a new threshold have fired": async ({ to, button, see }) => { await to("Tools"); await button("Try a rule"); await button("Try it"); await see(".stat", { hasText: "Would have fired" }); },
  "do the unit tests of a rule file pass": async ({ to, button, read }) => { await to("Tools"); await button("Unit tests"); await button("Run the tests"); await read("The test passes."); },
  "which Alertmanager is not told": async ({ to, read, page }) => {
    await page.route("**/api/v1/notifiers*", async (route) => {
      const answer = await (await route.fetch()).json();
      for (const notifier of answer.data.notifiers ?? answer.data) for (const target of notifier.targets) target.lastError = "connection refused";
      await route.fulfill({ json: answer });
    });
    await to("Alerts");
    await read("An Alertmanager is not told");
    await read("connection refused");
  },
  "which replica feeds a pair, since when, why": async ({ to, read, page }) => { await fixture.route(page); await to("HA pairs"); await read("because a sent nothing"); },
  "which targets one replica alone scrapes": async ({ to, read }) => { await to("HA pairs"); await read("only b"); },
  "what became of each sample of a series": async ({ to, page, see }) => { await to("HA pairs"); const field = page.getByLabel("Selector of a series"); await field.fill('up{job="node"}'); await field.press("Enter"); await see("[role=table][aria-label='Samples by replica'] [role=row] >> nth=2"); },
  "which Prometheus lags, and which protocol it speaks": async ({ to, see, read }) => { await to("Senders"); await see("[role=table][aria-label=Senders]"); await read("remote write 1.0"); },
  "what of a sender was refused: why, how much, which series first": async ({ to, see }) => { await to("Senders"); await see("[aria-label='What was not kept']"); },
  "which label makes the series": async ({ to, button, see }) => { await to("Cardinality"); await button("many"); await see("[role=table][aria-label='Labels by number of values'] [role=row]", { hasText: "id" }); },
  "what grew since yesterday": async ({ to, page }) => { await to("Cardinality"); await page.getByLabel("against").waitFor(); assert.equal(await page.getByLabel("against").evaluate((list) => list.selectedOptions[0].text), "yesterday"); },
  "what grew since last week": async ({ to, choose, page }) => { await to("Cardinality"); await choose("against", { label: "a week ago" }); await page.waitForURL(/against=/); },
  "metrics that nobody asks for": async ({ to, see, world }) => {
    // Fewer queries would say nothing.
    await Promise.all(Array.from({ length: 100 }, () => world.query("vector(1)")));
    await to("Cardinality");
    await see("[aria-label=Metrics] [role=columnheader]", { hasText: "asked for" });
  },
  "stop a query, and who asked it": async ({ to, button, page, world }) => {
    const end = Math.floor(Date.now() / 1000);
    const slow = fetch(`${world.url}/api/v1/query_range`, { method: "POST", body: new URLSearchParams({ query: "max_over_time(sum(quantile_over_time(0.5, many[2h] offset -1h))[6h:1s])", start: String(end - 7200), end: String(end), step: "5" }) });
    await to("Queries");
    await button("Stop");
    assert.equal((await (await slow).json()).errorType, "canceled");
    await page.getByText("Nothing runs at this moment.").waitFor();
  },
  "who asks the expensive ones": async ({ to, read }) => { await to("Queries"); await read(/rule .* of group availability/); },
  "will the disk last": async ({ to, read }) => { await to("Storage"); await read("Disk lasts"); },
  "what is not set up yet, and the line to add": async ({ to, read }) => { await to("Status"); await read("Self-check"); },
  "what does relabelling do": async ({ to, see }) => { await to("Tools"); await see(".label.gone", { hasText: "pod_uid=" }); },
  "a customer's graph on their own page": async ({ to, button, see }) => { await to("Tools"); await button("Tokens and pictures"); await button("Make the token"); await see("[aria-label=Tokens] td, .note"); },
};

let world;
let browser;
before(async () => {
  [world, browser] = await Promise.all([start(), launch()]);
}, { timeout: 120_000 });
after(async () => {
  await browser?.close();
  await world?.stop();
}, { timeout: 30_000 });

describe("tasks of docs/ui.md", { timeout: 600_000 }, () => {
  test("each has its story", () => assert.deepEqual(table.map(({ task }) => task).sort(), Object.keys(STORIES).sort()));

  for (const { task, clicks } of table) {
    test(`${task}: ${clicks}`, async () => {
      const { page, context } = await open(browser, world.url);
      await page.goto(`${world.url}/ui/query`);
      await page.locator(".cm-content").waitFor();
      const user = hands(page);
      await STORIES[task]({ ...user, world });
      assert.equal(user.clicks(), clicks);
      await context.close();
    });
  }
});
