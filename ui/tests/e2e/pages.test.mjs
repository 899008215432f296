// Each page's main task in Debian's Chromium, against a Weir fed by a real Prometheus pair.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { launch, open } from "./browser.mjs";
import * as fixture from "./pairs.fixture.mjs";
import { eventually, HOSTILE, start } from "./world.mjs";

let world;
let browser;
before(async () => {
  [world, browser] = await Promise.all([start(), launch()]);
}, { timeout: 120_000 });
after(async () => {
  await browser?.close();
  await world?.stop();
}, { timeout: 30_000 });

/** Opens a path, runs the story, and fails for what a page must never do. */
async function visit(path, story, options = {}) {
  const { page, context, faults } = await open(browser, world.url, options);
  try {
    await page.goto(`${world.url}/ui/${path}`);
    await story(page, context);
    assert.deepEqual(faults(), []);
  } finally {
    await context.close();
  }
}

const query = (expr, more = "") => `query?range=1h&g0.expr=${encodeURIComponent(expr)}${more}`;
const answered = (page) => page.locator('.panel[data-state="answered"]').first().waitFor();
const rows = (page, table) => page.getByRole("table", { name: table }).getByRole("row");

describe("query", { timeout: 120_000 }, () => {
  test("links of alerts and the root lead to the page with their question", async () => {
    for (const [path, lands] of [["/", "/ui/query"], ["/graph?g0.expr=up&g0.tab=1", "/ui/query"], ["/ui", "/ui/query"]]) {
      const { page, context } = await open(browser, world.url);
      await page.goto(world.url + path);
      await page.waitForURL((url) => url.pathname === lands);
      if (path.startsWith("/graph")) await page.getByRole("table", { name: "Result" }).waitFor();
      await context.close();
    }
  });

  test("a question is typed, completed, asked and drawn; the address holds it", () =>
    visit("query", async (page) => {
      const editor = page.getByRole("textbox", { name: "Expression 1" });
      await editor.click();
      await page.keyboard.type("sum by (path) (rate(http_requests_t");
      await page.locator(".cm-tooltip-autocomplete li", { hasText: "http_requests_total" }).first().click();
      await page.keyboard.type("[5m]");
      await page.keyboard.press("ControlOrMeta+Enter");
      await page.locator(".graph-host[data-drawn='4']").waitFor();
      await page.locator(".legend-row", { hasText: "/checkout" }).waitFor();
      const url = new URL(page.url());
      assert.equal(url.searchParams.get("g0.expr"), "sum by (path) (rate(http_requests_total[5m]))");
      await page.reload();
      await page.locator(".graph-host[data-drawn='4']").waitFor();
    }));

  test("Enter asks over a list of completions, takes what the arrows picked; Tab takes the first that goes on with a word", () =>
    visit("query", async (page) => {
      const editor = page.getByRole("textbox", { name: "Expression 1" });
      const list = page.locator(".cm-tooltip-autocomplete:not(.cm-tooltip-autocomplete-disabled) li");
      const write = async (text) => {
        await editor.fill("");
        await page.keyboard.insertText(text);
        await list.first().waitFor();
      };
      const reads = (text) => editor.filter({ hasText: new RegExp(`^${text}$`) }).waitFor();
      await write("vector(1)");
      await page.keyboard.press("Enter");
      await page.locator(".graph-host[data-drawn='1']").waitFor();
      assert.equal(new URL(page.url()).searchParams.get("g0.expr"), "vector(1)");
      assert.equal(await list.count(), 0);
      const asked = page.url();

      await write("http_requests_to");
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await reads("http_requests_total");
      await write("http_requests_to");
      await page.keyboard.press("Tab");
      await reads("http_requests_total");
      await write("vector(2)");
      await page.keyboard.press("Tab");
      await reads("vector\\(2\\)");
      assert.equal(await editor.evaluate((one) => one === document.activeElement), false);
      assert.equal(page.url(), asked);
    }));

  test("the function at hand shows what it takes, and Escape sends it away", () =>
    visit("query", async (page) => {
      await page.getByRole("textbox", { name: "Expression 1" }).click();
      await page.keyboard.insertText("histogram_quantile(0.9, x)");
      await page.keyboard.press("ArrowLeft");
      await page.locator(".cm-signature .now", { hasText: "histograms or buckets" }).waitFor();
      await page.keyboard.press("Control+ArrowLeft");
      await page.keyboard.press("Control+ArrowLeft");
      await page.locator(".cm-signature .now", { hasText: "φ 0–1" }).waitFor();
      await page.keyboard.press("Escape");
      await page.locator(".cm-signature").waitFor({ state: "detached" });
    }));

  test("a mistake is marked where it is", () =>
    visit("query", async (page) => {
      await page.getByRole("textbox", { name: "Expression 1" }).click();
      await page.keyboard.insertText("sum(rate(up[5m])) by by");
      await page.locator(".cm-lintRange-error").waitFor();
      assert.equal(await page.locator(".cm-lintRange-error").first().innerText(), "by");
      await page.keyboard.press("ControlOrMeta+Enter");
      await page.getByRole("alert").filter({ hasText: "parse error" }).waitFor();
    }));

  test("a warning of the answer is marked where it belongs", () =>
    visit(query("rate(up[5m])"), async (page) => {
      await page.locator(".cm-lintRange-info", { hasText: "up" }).waitFor();
      await page.getByText("metric might not be a counter").first().waitFor();
    }));

  test("an expression is laid out by the server", () =>
    visit("query", async (page) => {
      await page.getByRole("textbox", { name: "Expression 1" }).click();
      await page.keyboard.insertText("sum  by(job)( up )");
      await page.getByRole("button", { name: "Format the expression" }).click();
      await page.getByRole("textbox", { name: "Expression 1" }).filter({ hasText: /^sum by \(job\) \(up\)$/ }).waitFor();
    }));

  test("dragging zooms, zooming out and the browser's back return", () =>
    visit(query("sum(rate(http_requests_total[5m]))"), async (page) => {
      await answered(page);
      const before = page.url();
      const box = await page.locator(".u-over").boundingBox();
      await page.mouse.move(box.x + box.width * 0.3, box.y + 80);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.6, box.y + 90, { steps: 5 });
      await page.mouse.up();
      await page.waitForURL((url) => url.searchParams.has("end"));
      const span = new URL(page.url()).searchParams.get("range");
      assert.match(span, /^1[678]m/);
      await page.goBack();
      await page.waitForURL(before);
    }));

  test("several expressions stand side by side under one cursor", () =>
    visit(query("up", "&g1.expr=sum(up)&g1.tab=graph&columns=2"), async (page) => {
      await page.locator(".graph-host[data-drawn]").nth(1).waitFor();
      const [left, right] = [await page.locator(".panel").nth(0).boundingBox(), await page.locator(".panel").nth(1).boundingBox()];
      assert.equal(left.y, right.y);
      await page.locator(".u-over").first().hover({ position: { x: 200, y: 100 } });
      await page.locator(".tip").waitFor();
      const cursor = await page.locator(".panel").nth(1).locator(".u-cursor-x").evaluate((line) => line.style.transform);
      assert.match(cursor, /translate/);
      await page.getByRole("button", { name: "Add an expression" }).click();
      await page.getByRole("textbox", { name: "Expression 3" }).waitFor();
    }));

  test("a table has a column for each label that tells series apart", () =>
    visit(query("up", "&g0.tab=table"), async (page) => {
      await rows(page, "Result").nth(1).waitFor();
      const heads = await page.getByRole("columnheader").allInnerTexts();
      assert.ok(heads.includes("instance") && heads.includes("job") && heads.at(-1) === "Value", heads.join());
      await page.getByRole("button", { name: "job" }).click();
      assert.equal(await page.getByRole("columnheader", { name: "job" }).getAttribute("aria-sort"), "ascending");
    }));

  test("classic buckets become a heat map", () =>
    visit(query("sum by (le) (rate(http_request_duration_seconds_bucket[5m]))", "&g0.tab=heat"), async (page) => {
      await page.locator("canvas[data-heat='classic']").waitFor();
      const colours = await page.locator("canvas[data-heat]").evaluate((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set();
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(`${data[at]} ${data[at + 1]} ${data[at + 2]}`);
        return seen.size;
      });
      assert.ok(colours > 20, `${colours} colours`);
    }));

  test("native histograms become one too, and the graph counts their observations", () =>
    visit(query("latency_seconds", "&g0.tab=graph"), async (page) => {
      await answered(page);
      await page.getByText("the number of observations is drawn").waitFor();
      assert.doesNotMatch(await page.locator(".legend-figure").first().innerText(), /s$/);
      await page.getByRole("tab", { name: "Heat map" }).click();
      await page.locator("canvas[data-heat='native']").waitFor();
      await page.getByRole("tab", { name: "Table" }).click();
      await page.getByRole("table", { name: "Result" }).getByText(/observations, sum/).waitFor();
      // Nobody names a replica of it: its samples are shown as they are stored.
      await page.getByRole("tab", { name: "Raw" }).click();
      await page.getByRole("table", { name: "Stored samples" }).getByRole("row").nth(3).waitFor();
    }));

  test("explain names each part with its time and samples", () =>
    visit(query("sum by (path) (rate(http_requests_total[5m])) > 1", "&g0.tab=explain"), async (page) => {
      await page.locator(".tree tbody tr").nth(1).waitFor();
      const parts = await page.locator(".tree code").allInnerTexts();
      assert.ok(parts.some((part) => part.includes('{__name__="http_requests_total"}')), parts.join());
      await page.locator(".tree-add").nth(1).click();
      await page.getByRole("textbox", { name: "Expression 2" }).waitFor();
    }));

  test("raw shows what is stored, sample by sample", () =>
    visit(query("wide{host=\"host-000\"}", "&g0.tab=raw"), async (page) => {
      const table = page.getByRole("table", { name: /Stored samples|Samples by replica/ });
      await table.getByRole("row").nth(3).waitFor();
      assert.ok(Number(await table.getAttribute("aria-rowcount")) > 200);
    }));

  test("alerts stand as bands, exemplars and options are in the address", () =>
    visit(query("up", "&alerts=1"), async (page) => {
      await answered(page);
      await page.getByRole("button", { name: "Stacked" }).click();
      await page.getByRole("button", { name: "Log" }).click();
      await page.getByRole("button", { name: "Exemplars" }).click();
      const url = new URL(page.url());
      assert.deepEqual(["display_mode", "log", "show_exemplars"].map((name) => url.searchParams.get(`g0.${name}`)), ["stacked", "1", "1"]);
      await answered(page);
    }));

  test("exemplars stand on the graph, are picked with their trace, and listed", () =>
    visit(query("histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", "&g0.show_exemplars=1"), async (page) => {
      await page.locator(".graph-host[data-drawn='1']").waitFor();
      await page.getByText(/^\d+ exemplars$/).click();
      const table = page.getByRole("table", { name: "Exemplars" });
      await table.getByText("trace_id=").first().waitFor();
      await table.getByRole("row").nth(1).getByRole("button", { name: "Copy the trace" }).click();
      const trace = await eventually("the trace", async () => {
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        return /^4bf92f35/.test(copied) && copied;
      });
      await table.getByRole("row").nth(1).getByRole("button").first().click();
      const picked = page.locator(".picked");
      await picked.getByText(trace).waitFor();
      await page.getByRole("button", { name: "Let go of the exemplar" }).click();
      // On the canvas: what is found by moving over it is picked by a click.
      const box = await page.locator(".u-over").boundingBox();
      const found = await eventually("an exemplar under the pointer", async () => {
        for (let x = 6; x < box.width; x += 14) {
          for (let y = 6; y < box.height; y += 14) {
            await page.mouse.move(box.x + x, box.y + y);
            if (await page.locator(".tip-mark").count()) return { x: box.x + x, y: box.y + y };
          }
        }
        return undefined;
      });
      await page.mouse.click(found.x, found.y);
      await picked.getByText("trace_id=").waitFor();
    }));

  test("without exemplars the page says how they are sent", () =>
    visit(query("up", "&g0.show_exemplars=1"), async (page) => {
      await answered(page);
      await page.getByText("send_exemplars: true").waitFor();
    }));

  test("an answer is copied as curl that works, Markdown and a Grafana panel, and saved as CSV and PNG", () =>
    visit(query("sum(up)"), async (page) => {
      await answered(page);
      const pick = async (name) => {
        await page.getByRole("button", { name: "Copy or save this panel" }).click();
        await page.getByRole("menuitem", { name }).click();
      };
      const copied = () => page.evaluate(() => navigator.clipboard.readText());
      await pick("curl command");
      const curl = await eventually("curl", async () => /curl/.test(await copied()) && copied());
      assert.match(curl, /--data-urlencode 'query=sum\(up\)'/);
      await pick("Markdown table");
      await eventually("Markdown", async () => /\| series \| last value \|/.test(await copied()));
      await pick("Grafana panel");
      const panel = JSON.parse(await eventually("panel", async () => /timeseries/.test(await copied()) && copied()));
      assert.equal(panel.targets[0].expr, "sum(up)");
      const save = async (name) => {
        const [file] = await Promise.all([page.waitForEvent("download"), pick(name)]);
        return readFileSync(await file.path());
      };
      assert.match((await save("CSV of all samples")).toString(), /^time,value\r\n\d{4}-/);
      assert.equal(JSON.parse((await save("JSON of the answer")).toString()).data.resultType, "matrix");
      assert.equal((await save("PNG of the graph")).subarray(1, 4).toString(), "PNG");
    }));

  test("labels with markup, other scripts and great length stay text and inside", () =>
    visit(query("hostile", "&g0.tab=table"), async (page) => {
      const found = page.locator(".series-name").first();
      await found.waitFor();
      assert.ok((await found.textContent()).includes(HOSTILE.markup));
      assert.equal(await page.evaluate(() => window.broken), undefined);
      assert.equal(await page.locator(".content img, .content script").count(), 0);
      for (const tab of ["Graph", "Table"]) {
        await page.getByRole("tab", { name: tab }).click();
        await answered(page);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, `${tab} is too wide`);
      }
    }));

  test("an answer that cannot be had says what to do", () =>
    visit(query("label_replace(up, \"job\", \"a\", \"job\", \".*\") + on (job) up", "&g0.tab=table"), async (page) => {
      await page.getByRole("alert").filter({ hasText: "parses, but cannot be evaluated" }).waitFor();
    }));
});

describe("the other pages", { timeout: 120_000 }, () => {
  test("alerts: what fires is found, and why another is pending", () =>
    visit("alerts", async (page) => {
      await page.getByRole("button", { name: /^Firing 1/ }).click();
      const rule = page.getByRole("button", { name: /TargetDown/ });
      await rule.click();
      await page.locator(".alert-line .summary", { hasText: "cannot be scraped" }).first().waitFor();
      await page.getByRole("button", { name: /^Pending 1/ }).click();
      await page.getByRole("button", { name: /WaitsLong/ }).click();
      await page.getByText(/Pending because it has held for .* of 1h/).waitFor();
      await page.getByRole("button", { name: "Alertmanagers" }).click();
      await page.getByRole("cell", { name: new RegExp(`127.0.0.1:${world.ports.alertmanager}`) }).waitFor();
    }));

  test("rules: a failing one is found with its error", () =>
    visit("rules", async (page) => {
      await page.getByRole("button", { name: /^Failing/ }).click();
      await page.getByRole("button", { name: "broken:rule" }).click();
      await page.getByRole("complementary", { name: "Rule broken:rule" }).getByText(/same labelset/).first().waitFor();
      await page.keyboard.press("Escape");
      assert.equal(await page.getByRole("complementary").count(), 0);
      await page.getByRole("button", { name: "Groups" }).click();
      await page.getByRole("table", { name: "Groups" }).getByText("availability").waitFor();
    }));

  test("rules: what a rule saw at its last evaluations, and when it would have fired", async () => {
    await visit("rules?search=TargetDown", async (page) => {
      await page.getByRole("button", { name: "TargetDown" }).click();
      await page.getByText(/^Last \d+ evaluations$/).waitFor();
      await page.getByRole("complementary").getByRole("img", { name: /times firing$/ }).waitFor();
      await page.getByText("As a table").click();
      await page.getByRole("complementary").getByRole("cell", { name: "fine" }).first().waitFor();
      await page.getByRole("link", { name: "Edit it and try it on past days" }).click();
      await page.getByLabel("over the last").selectOption("1h");
      await page.getByRole("button", { name: "Try it" }).click();
      await page.locator(".stat", { hasText: "Would have fired" }).getByText(/^[1-9]/).waitFor();
    });
  });

  test("pairs: a silent replica, the switch with its reason, and a series lane by lane", async () => {
    const { page, context, faults } = await open(browser, world.url);
    await fixture.route(page);
    let preferred;
    await page.route("**/api/v1/ha/prefer*", (route) => {
      preferred = route.request().postData();
      return route.fulfill({ contentType: "application/json", body: '{"status":"success","data":{}}' });
    });
    await page.goto(`${world.url}/ui/pairs`);
    const pair = page.getByRole("region", { name: "Pair eu1" });
    await pair.getByText("because a sent nothing").waitFor();
    await pair.locator(".replica", { hasText: "Silent" }).waitFor();
    await pair.locator(".warn", { hasText: "clock +12.4s" }).waitFor();
    await pair.getByText("only b").waitFor();
    await pair.locator(".label", { hasText: "<b>h1</b>:9100" }).waitFor();
    await pair.getByLabel("Prefer another replica of eu1").selectOption("b");
    await pair.getByRole("button", { name: "Prefer b" }).click();
    await eventually("the preference", async () => preferred === "cluster=eu1&replica=b");
    await pair.getByRole("button", { name: "Look at its series" }).click();
    await page.getByText("1 switch of source").waitFor();
    await page.getByRole("button", { name: /^Left out/ }).click();
    await page.getByRole("table", { name: "Samples by replica" }).getByText("the preferred replica has a row within half an interval").first().waitFor();
    assert.deepEqual(faults(), []);
    await context.close();
  });

  test("pairs: the real pair is there, with both replicas live", async () => {
    await visit("pairs?match=up{job=%22node%22}", async (page) => {
      const pair = page.getByRole("region", { name: "Pair eu1" });
      await eventually("both live", async () => (await pair.locator(".replica", { hasText: "Live" }).count()) === 2);
      await page.getByRole("table", { name: "Samples by replica" }).getByRole("row").nth(2).waitFor();
      await pair.getByText("only b").waitFor();
    });
    await visit(query('up{job="node"}', "&g0.tab=raw"), async (page) => {
      await page.getByRole("table", { name: "Samples by replica" }).getByRole("row").nth(2).waitFor();
    });
  });

  test("senders: both of the pair with protocol, rate and lag, and what was refused of a third", async () => {
    const now = Date.now();
    const bad = { labels: { __name__: "ancient", note: HOSTILE.markup, cluster: "shop", __replica__: "b" }, samples: [[now - 400 * 86_400_000, 1], [now, 2]] };
    await assert.rejects(world.push([bad]), /too_old/);
    await visit("senders", async (page) => {
      for (const replica of ["a", "b"]) {
        const row = rows(page, "Senders").filter({ hasText: `eu1${replica}` }).filter({ hasText: "Prometheus/" });
        await row.getByText("remote write 1.0").waitFor();
        await eventually("a rate", async () => Number((await row.getByRole("cell").nth(6).innerText()).replace("k", "000")) > 0);
      }
      for (const port of [world.ports.a, world.ports.b]) await rows(page, "Prometheus servers by their metrics").filter({ hasText: `127.0.0.1:${port}` }).waitFor();
      const loss = page.locator(".loss", { hasText: "too old" });
      await loss.getByText("1 sample").waitFor();
      await loss.getByText(`ancient{cluster="shop", note=`).waitFor();
      await loss.getByText("from shop/b").waitFor();
      assert.equal(await page.evaluate(() => window.broken), undefined);
      await page.locator(".stat", { hasText: "Samples in" }).getByText(/[\d.]+k? \/s/).waitFor();
    });
  });

  test("cardinality: from the largest metric to its labels, and advice to copy", () =>
    visit("cardinality", async (page) => {
      await page.getByRole("table", { name: "Metrics" }).getByRole("button", { name: "many" }).click();
      await page.waitForURL((url) => url.searchParams.get("match") === "many");
      await page.locator(".stat", { hasText: "Series" }).getByText("10,000").first().waitFor();
      await page.getByRole("table", { name: "Labels by number of values" }).getByRole("button", { name: "id", exact: true }).click();
      await page.getByRole("region", { name: "Values of id" }).getByText("id-00000").waitFor();
      await page.getByText("match[]=many").waitFor();
    }));

  test("queries: a slow one is stopped, and its asker is named", () =>
    visit("queries", async (page) => {
      const end = Math.floor(Date.now() / 1000);
      const slow = fetch(`${world.url}/api/v1/query_range`, {
        method: "POST",
        headers: { "User-Agent": "report-maker/1.0", "X-Dashboard-Uid": "heavy", "Content-Type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ query: 'max_over_time(sum(quantile_over_time(0.5, many[2h] offset -1h))[6h:1s])', start: String(end - 7200), end: String(end), step: "5" }),
      });
      const row = page.getByRole("row").filter({ hasText: "quantile_over_time" }).filter({ hasText: "dashboard heavy" });
      await row.waitFor();
      await row.getByRole("button", { name: "Stop" }).click();
      assert.equal((await (await slow).json()).errorType, "canceled");
      await rows(page, "Most expensive queries").filter({ hasText: "rule TargetDown of group availability" }).waitFor();
    }));

  test("storage: what is kept, and where", () =>
    visit("storage", async (page) => {
      await page.locator(".stat", { hasText: "In memory only" }).getByText(/samples/).waitFor();
      await page.getByText("Kept for").waitFor();
    }));

  test("status: the self-check finds what is not done; the configuration is read again", () =>
    visit("status", async (page) => {
      await page.locator(".check", { hasText: "Samples arrive" }).getByLabel("Done").waitFor();
      await page.locator(".check", { hasText: "An Alertmanager is told" }).getByLabel("Done").waitFor();
      await page.locator(".check", { hasText: "Rules are loaded, and work" }).getByText("broken:rule").waitFor();
      await page.getByRole("button", { name: "Reload" }).click();
      await page.getByText("read again").waitFor();
    }));

  test("tools: unit tests of rules pass, fail with what is missing, and name a line that cannot be read", () =>
    visit("tools?tool=tests", async (page) => {
      const run = () => page.getByRole("button", { name: "Run the tests" }).click();
      await run();
      await page.getByText("The test passes.").waitFor();
      const tests = page.getByLabel("Unit tests, for promtool or vmalert-tool");
      await tests.fill((await tests.inputValue()).replace("value: 1}", "value: 7}"));
      await run();
      await page.locator(".diff .missing", { hasText: 'job:up:sum{job="node"} 7' }).waitFor();
      await page.locator(".diff .extra", { hasText: 'job:up:sum{job="node"} 1' }).waitFor();
      await page.locator(".diff").locator("..").getByRole("button", { name: /^line \d+$/ }).click();
      const selected = await tests.evaluate((field) => field.value.slice(field.selectionStart, field.selectionEnd));
      assert.match(selected, /- expr: job:up:sum/);
      await page.getByLabel("The rules they test").fill("groups:\n  - name: g\n    rules: [{record: a, expr: up +}]\n");
      await run();
      await page.getByRole("alert").filter({ hasText: "The tests cannot be run" }).getByText(/Rules, line 3/).waitFor();
    }));

  test("tools: relabelling step by step, an expression as a tree, a picture", () =>
    visit("tools", async (page) => {
      await page.locator(".label.added", { hasText: "host=" }).waitFor();
      await page.locator(".label.gone", { hasText: "pod_uid=" }).waitFor();
      await page.getByLabel("Rules, as in prometheus.yml").fill("- target_label: zone\n  replacement: b");
      await page.locator(".label.added", { hasText: "zone=b" }).waitFor();
      await page.getByRole("button", { name: "Format and tree" }).click();
      await page.getByRole("button", { name: "Format", exact: true }).click();
      await page.locator(".syntax", { hasText: "http_requests_total{code=~\"5..\"}[5m]" }).waitFor();
      await page.getByRole("button", { name: "Tokens and pictures" }).click();
      await page.locator("img.preview").waitFor();
      assert.ok(await page.locator("img.preview").evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
    }));
});

describe("everywhere", { timeout: 120_000 }, () => {
  test("Ctrl-K finds pages and metrics", () =>
    visit("storage", async (page) => {
      await page.getByRole("heading", { name: "Storage" }).waitFor();
      await page.keyboard.press("ControlOrMeta+k");
      await page.keyboard.type("http_requests_to");
      await page.getByRole("option", { name: "http_requests_total metric", exact: true }).waitFor();
      await page.keyboard.press("Enter");
      await page.locator(".graph-host[data-drawn]").waitFor();
      await page.keyboard.press("ControlOrMeta+k");
      await page.keyboard.type("rules");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Rules", level: 1 }).waitFor();
      await page.keyboard.press("g");
      await page.keyboard.press("c");
      await page.getByRole("heading", { name: "Cardinality" }).waitFor();
    }));

  test("the page works below a prefix and keeps to it", async () => {
    const { page, context, faults } = await open(browser, world.url);
    await page.goto(`${world.url}/prometheus/graph?g0.expr=up&g0.tab=1`);
    await page.getByRole("table", { name: "Result" }).waitFor();
    assert.equal(new URL(page.url()).pathname, "/prometheus/ui/query");
    await page.getByRole("link", { name: "Alerts" }).click();
    await page.getByRole("button", { name: /TargetDown/ }).waitFor();
    assert.equal(new URL(page.url()).pathname, "/prometheus/ui/alerts");
    assert.deepEqual(faults(), []);
    await context.close();
  });

  test("a token is asked for, sent as a bearer, and forgotten with the tab", async () => {
    const { page, context } = await open(browser, world.url);
    // What stands between asks for the token, and keeps it from a Weir that does not know it.
    await page.route(/\/(api\/v1|metrics)/, async (route) => {
      const { authorization, ...headers } = await route.request().allHeaders();
      if (authorization === "Bearer weir_1_secret") await route.continue({ headers });
      else await route.fulfill({ status: 401, contentType: "application/json", body: '{"status":"error","errorType":"unauthorized","error":"a token is needed"}' });
    });
    await page.goto(`${world.url}/ui/rules`);
    await page.getByRole("dialog").getByLabel("Token").fill("weir_1_secret");
    await page.getByRole("button", { name: "Use it" }).click();
    await page.getByRole("table", { name: "Rules" }).waitFor();
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes("secret")), false);
    await context.close();
  });

  test("a server that goes away is told, and comes back by itself", async () => {
    const { page, context } = await open(browser, world.url);
    let away = true;
    await page.route("**/api/v1/rules*", (route) => (away ? route.abort() : route.continue()));
    await page.goto(`${world.url}/ui/rules`);
    await page.getByText("Weir does not answer").waitFor();
    away = false;
    await page.getByRole("table", { name: "Rules" }).waitFor();
    await context.close();
  });
});
