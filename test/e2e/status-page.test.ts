import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { AdminHttp } from '../support/admin-http.ts';
import { expectNoCanary } from '../support/canary.ts';
import { skipBecause } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';

const browserPath = '/usr/bin/chromium';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// Where pictures of the page are to be kept, to be looked at.
const pictures = process.env.HOTCONF_PICTURES;

describe('the status page, in Chromium', function () {
  this.timeout(60_000);
  let profile: string;
  let context: BrowserContext | undefined;
  const edit = (text: string) => test().scratch.write('secrets/app.yaml', text);

  before(function () {
    if (!existsSync(browserPath)) skipBecause(this, 'Chromium is not installed');
  });
  afterEach(async () => {
    await context?.close();
    context = undefined;
    if (profile) rmSync(profile, { recursive: true, force: true });
  });
  const test = useDaemon();

  /** A browser with nothing in it, and everything that its page asks for and complains of. */
  const open = async (options: BrowserContextOptions = {}) => {
    const http = await AdminHttp.set(test());
    await test().start();
    profile = mkdtempSync(join(tmpdir(), 'hc-browser-'));
    context = await chromium.launchPersistentContext(profile, {
      executablePath: browserPath,
      chromiumSandbox: false,
      args: [
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
      ...options,
    });
    const page = context.pages()[0]!;
    const asked: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${http.origin}/`);
    return { http, page, asked, complaints };
  };
  const signIn = async (page: Page, token: string) => {
    await page.getByLabel('A line of a token file').fill(token);
    await page.getByRole('button', { name: 'Show the status' }).click();
    await page.locator('#revision').filter({ hasText: /\d/ }).waitFor();
  };
  const keep = (page: Page, name: string) =>
    pictures ? page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true }) : undefined;
  const text = (page: Page) => page.locator('body').innerText();
  /** Findings that keep somebody from using it. */
  const serious = async (page: Page) => {
    const found = await page.evaluate(`${axe}; axe.run().then(({ violations }) => violations)`);
    return (found as { id: string; impact: string; nodes: { html: string }[] }[])
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`);
  };

  it('asks for a token, denies a wrong one, and shows all with a right one, live', async () => {
    const { http, page, asked, complaints } = await open();
    await page.getByRole('heading', { name: 'Show a token' }).waitFor();
    await keep(page, 'token');
    expect(await text(page)).not.contain('default');
    await page.getByLabel('A line of a token file').fill('f'.repeat(40));
    await page.keyboard.press('Enter');
    await page.getByText('This token is not known').waitFor();
    await signIn(page, http.tokens.viewer);
    expect(await page.locator('#revision').innerText()).equal('1');
    expect(await page.locator('#environment').innerText()).equal(`${hostname()} · production`);
    expect(await page.title()).contain(hostname());
    const program = await test().connect({ name: 'billing' });
    await page.getByRole('cell', { name: 'billing' }).waitFor();
    const secret = test().canary();
    edit(`database: { url: ${secret} }\nfeatures: { beta: true }\n`);
    await page.locator('#revision').filter({ hasText: '2' }).waitFor();
    await page.getByText('~ database.url').waitFor();
    await page.locator('#plot circle.committed').nth(1).waitFor();
    await until('the program runs it', () => program.settings.database.url === secret);
    expect(await page.getByRole('button', { name: /Reload|Go back/ }).count(), 'a viewer changes nothing').equal(0);
    expectNoCanary('the page', await page.content(), test().canaries);
    expect(asked.filter((url) => !url.startsWith(`${http.origin}/`))).deep.equal([]);
    // The browser itself complains of a 401.
    expect(complaints.filter((words) => !words.includes('401'))).deep.equal([]);
  });

  it('shows a rejection, with the path and the rule, and that it is over', async () => {
    const { http, page } = await open({ colorScheme: 'dark' });
    await signIn(page, http.tokens.viewer);
    await keep(page, 'dark');
    edit('database: { url: 3 }\n');
    await page.locator('#state').filter({ hasText: 'rejected' }).waitFor();
    await page.locator('#notices').getByText('database.url: must be string').first().waitFor();
    expect(await page.locator('#plot .rejected').count()).equal(1);
    await keep(page, 'rejected');
    expect(await serious(page)).deep.equal([]);
    edit('database: { url: url-2 }\n');
    await page.locator('#state').filter({ hasText: 'ready' }).waitFor();
    await until('nothing is told', async () => (await page.locator('#notices').innerText()) === '');
  });

  it('reloads and goes back with a token that may, and a reason, by keyboard alone', async () => {
    const { http, page } = await open({ colorScheme: 'light' });
    await signIn(page, http.tokens.admin);
    edit('database: { url: url-2 }\n');
    await page.locator('#revision').filter({ hasText: '2' }).waitFor();
    await test().connect({ name: 'billing' });
    await page.getByRole('cell', { name: 'billing' }).waitFor();
    await keep(page, 'light');
    await page.getByRole('button', { name: 'Reload…' }).focus();
    await page.keyboard.press('Enter');
    await page.getByLabel('Why?').fill('because I can');
    await keep(page, 'dialog');
    expect(await serious(page)).deep.equal([]);
    await page.keyboard.press('Enter');
    await page.getByText('operator by the-admin “because I can”').waitFor();
    const back = page.getByRole('button', { name: 'Go back to revision 1' });
    await back.focus();
    // What comes meanwhile must not take the keyboard away.
    await http.post('/admin/reload-config', { reason: 'meanwhile' });
    await page.getByText('“meanwhile”').waitFor();
    expect(await page.evaluate("document.activeElement.getAttribute('aria-label')")).equal('Go back to revision 1');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.locator('#state').filter({ hasText: 'pinned' }).waitFor();
    await page.getByText('Pinned to the content of revision 1, by the-admin').waitFor();
    expect(test().daemon!.reports.summary()).include({ revision: 3 }).property('pinned').include({ to: 1 });
    await keep(page, 'pinned');
    await page.getByRole('button', { name: 'Unpin…' }).click();
    await page.getByRole('button', { name: 'Unpin', exact: true }).click();
    await page.locator('#revision').filter({ hasText: '4' }).waitFor();
    await page.locator('#state').filter({ hasText: 'ready' }).waitFor();
    expect(await serious(page)).deep.equal([]);
  });

  it('says why a reload is refused, and leaves everything as it was', async () => {
    test().options.admin = { rateLimit: { reloads: 1, per: '1m' } };
    const { http, page } = await open();
    await signIn(page, http.tokens.admin);
    await http.post('/admin/reload-config');
    await page.getByRole('button', { name: 'Reload…' }).click();
    await page.getByRole('button', { name: 'Reload', exact: true }).click();
    await page.getByRole('alert').getByText('admin.rateLimit').waitFor();
    await page.getByRole('button', { name: 'Leave it' }).click();
    expect(await page.locator('dialog').isVisible()).equal(false);
  });

  it('can be used on a phone, and shows what is stale or degraded', async () => {
    const { http, page } = await open({ viewport: { width: 360, height: 740 } });
    await signIn(page, http.tokens.admin);
    edit('database: [');
    await page.getByText('keeps its last good values').first().waitFor();
    await keep(page, 'narrow');
    const overflow = () => page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect(await overflow(), 'it does not scroll sideways').equal(0);
    expect(await serious(page)).deep.equal([]);
    http.writeTokens('viewer');
    await http.get('/admin/summary');
    await page.getByText('Degraded: ').waitFor();
    await keep(page, 'degraded');
  });

  it('comes back by itself when the daemon does, and forgets its token when told to', async () => {
    const { http, page } = await open();
    await signIn(page, http.tokens.viewer);
    const { daemon } = test();
    await daemon!.stop();
    await page.getByText('not connected, trying again').waitFor();
    await test().start();
    await page
      .locator('#link')
      .filter({ hasText: /^live$/ })
      .waitFor();
    await page.getByRole('button', { name: 'Forget token' }).click();
    await page.getByRole('heading', { name: 'Show a token' }).waitFor();
    expect(await page.evaluate('sessionStorage.length')).equal(0);
  });
});
