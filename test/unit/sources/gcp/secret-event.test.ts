import { expect } from 'chai';
import fc from 'fast-check';
import { parseSecretEvent } from '../../../../daemon/sources/gcp/secret-event.ts';

describe('a notification', () => {
  const secretId = 'projects/12/secrets/db';

  it('is read as Secret Manager writes it', () => {
    const attributes = { dataFormat: 'JSON_API_V1', timestamp: '2026-11-23T19:33:05.601-08:00' };
    const added = { ...attributes, eventType: 'SECRET_VERSION_ADD', secretId, versionId: `${secretId}/versions/7` };
    expect(parseSecretEvent(added, 'm')).deep.equal({
      type: 'SECRET_VERSION_ADD',
      project: '12',
      id: 'db',
      version: 7,
      messageId: 'm',
    });
    const regional = 'projects/12/locations/europe-west1/secrets/db';
    expect(
      parseSecretEvent({ eventType: 'SECRET_DELETE', secretId: regional, deleteType: 'REQUESTED' }, 'm'),
    ).deep.equal({
      type: 'SECRET_DELETE',
      project: '12',
      location: 'europe-west1',
      id: 'db',
      messageId: 'm',
    });
    expect(parseSecretEvent({ eventType: 'TOPIC_CONFIGURED' }, 'm')).equal('nothing');
  });

  it('that makes no sense is none, whatever it holds', () => {
    for (const attributes of [
      {},
      { secretId },
      { eventType: 'SECRET_VERSION_ADD', secretId },
      { eventType: 'SECRET_VERSION_ADD', secretId, versionId: 'latest' },
      { eventType: 'SECRET_UPDATE', secretId: 'db' },
      { eventType: 'secret', secretId },
      // Above every real version, it would make each later notification old news.
      ...['0', '9007199254740993', '9'.repeat(400)].flatMap((version) => [
        { eventType: 'SECRET_VERSION_ADD', secretId, versionId: version },
        { eventType: 'SECRET_VERSION_ADD', secretId, versionId: `${secretId}/versions/${version}` },
      ]),
    ])
      expect(parseSecretEvent(attributes as Record<string, string>, 'm'), JSON.stringify(attributes)).equal(undefined);
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('SECRET_VERSION_ADD', 'SECRET_UPDATE', secretId, `${secretId}/versions/1`),
    );
    const key = fc.oneof(fc.string(), fc.constantFrom('eventType', 'secretId', 'versionId', '__proto__'));
    fc.assert(
      fc.property(fc.dictionary(key, text), (attributes) => {
        const event = parseSecretEvent(attributes, 'm');
        if (event === undefined || event === 'nothing') return;
        expect(event.id).match(/^[^/]+$/);
        if (event.type.startsWith('SECRET_VERSION_')) expect(event.version).a('number');
      }),
    );
  });
});
