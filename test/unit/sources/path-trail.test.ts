import { mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { expect } from 'chai';
import { followPath } from '../../../daemon/sources/path-trail.ts';
import { useScratch } from '../../support/scratch.ts';

describe('following a path', () => {
  const scratch = useScratch();
  const root = () => realpathSync(scratch().folder);
  const follow = async (name: string) => {
    const { real, lookups } = await followPath(`${root()}/${name}`);
    return {
      real: real?.slice(root().length + 1),
      lookups: lookups.map(({ folder, name: last }) => `${folder.slice(root().length + 1)}:${last}`),
    };
  };

  it('collects the file and the folder that holds it', async () => {
    scratch().write('a/b/f', '');
    expect(await follow('a/b/f')).deep.equal({ real: 'a/b/f', lookups: ['a/b:f', 'a:b'] });
  });

  it('collects each link on the way, as Kubernetes lays them', async () => {
    scratch().write('s/..2026/f', '');
    symlinkSync('..2026', scratch().path('s/..data'));
    symlinkSync('..data/f', scratch().path('s/f'));
    expect(await follow('s/f')).deep.equal({
      real: 's/..2026/f',
      lookups: ['s:f', 's:..data', 's/..2026:f', 's:..2026'],
    });
  });

  it('follows absolute links and links to folders', async () => {
    scratch().write('releases/1/f', '');
    symlinkSync(`${root()}/releases/1`, scratch().path('current'));
    expect(await follow('current/f')).deep.equal({
      real: 'releases/1/f',
      lookups: [':current', 'releases/1:f', 'releases:1'],
    });
  });

  it('ends at the first name that is missing', async () => {
    mkdirSync(scratch().path('a'));
    expect(await follow('a/b/c')).deep.equal({ real: undefined, lookups: ['a:b'] });
    symlinkSync('nowhere/f', scratch().path('dangling'));
    expect(await follow('dangling')).deep.equal({ real: undefined, lookups: [':dangling', ':nowhere'] });
  });

  it('gives up on a circle of links', async () => {
    symlinkSync('b', scratch().path('a'));
    symlinkSync('a', scratch().path('b'));
    expect((await follow('a')).real).equal(undefined);
  });
});
