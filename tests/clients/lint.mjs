// Lints the document that the first argument names with Redocly and Spectral.
import { readFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import core from '@stoplight/spectral-core';
import parsers from '@stoplight/spectral-parsers';
import rulesets from '@stoplight/spectral-rulesets';

const [, , path] = process.argv;
const source = readFileSync(path, 'utf8');
const found = [];

// Health checks and the description are answered whatever the request is.
const config = await createConfig({ extends: ['recommended'], rules: { 'operation-4xx-response': 'off' } });
for (const { severity, ruleId, location, message } of await lintFromString({ source, absoluteRef: path, config })) {
  found.push(`redocly: ${severity} ${ruleId} at ${location[0].pointer}: ${message}`);
}

const spectral = new core.Spectral();
spectral.setRuleset({ extends: [[rulesets.oas, 'recommended']] });
for (const { severity, code, path: place, message } of await spectral.run(new core.Document(source, parsers.Json))) {
  found.push(`spectral: ${severity} ${code} at ${place.join('/')}: ${message}`);
}

console.log(found.join('\n'));
process.exit(found.length > 0 ? 1 : 0);
