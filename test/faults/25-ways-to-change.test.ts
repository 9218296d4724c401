import { expect } from 'chai';
import { skipBecause } from '../support/skip.ts';
import { quietFor, until } from '../support/until.ts';
import { useDaemon } from '../support/use-daemon.ts';
import { isInstalled, waysToChange } from '../support/ways-to-change.ts';

describe('fault 25: every way to change a file', () => {
  const daemon = useDaemon();
  const content = (value: string) => `database: { url: ${value} }\n`;

  for (const kind of ['a file of a folder', 'a single file'] as const) {
    for (const { name, needs, prepare, change } of waysToChange) {
      it(`sees ${name} of ${kind}: one commit a change, and always the last content`, async function () {
        if (needs && !isInstalled(needs)) return skipBecause(this, `${needs} is not installed`);
        const file = daemon().scratch.path('secrets/app.yaml');
        // Git and cp make files that all may read.
        daemon().options.fileModeCheck = 'off';
        prepare?.(file, content('value-0'));
        if (kind === 'a single file')
          daemon().options.sources = { defaults: './defaults.yaml', files: [{ path: './secrets/app.yaml' }] };
        const config = await (await daemon().start()).connect();
        for (let i = 1; i <= 3; i++) {
          change(file, content(`value-${i}`));
          await until(`value ${i} is there`, () => config.settings.database.url === `value-${i}`, 6_000);
          expect(config.snapshot.revision).equal(i + 1);
        }
        // Whatever still echoes must not commit again.
        await quietFor(150);
        expect(daemon().revision).equal(4);
        expect(daemon().logged('config_reload_failed')).deep.equal([]);
      });
    }
  }
});
