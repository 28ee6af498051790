import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

// What a scalar is in JSON. 64-bit numbers and money are strings, for a double would round them; they may be sent as
// numbers. JSON is unknown, so that whoever reads it must look first. A scalar that is missing here stops the generator.
const scalars = {
  ID: 'string',
  BigInt: { input: 'string | number', output: 'string' },
  Date: 'string',
  DateTime: 'string',
  IPAddress: 'string',
  JSON: 'unknown',
  Money: 'string',
  Secret: { input: 'string', output: 'never' },
  UUID: 'string',
  Vector: { input: 'number[] | string', output: 'never' },
};

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: ['src/**/*.ts', '!src/gql/**', '!src/relay/**'],
  importExtension: '.ts',
  generates: {
    'src/gql/': {
      preset: 'client',
      // persisted-documents.json: SHA-256 of each document's text → the text.
      presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
      config: { scalars, strictScalars: true, useTypeImports: true },
      // Normalised caches add __typename themselves; done here, the manifest asks for it too.
      documentTransforms: [addTypenameSelectionDocumentTransform],
    },
    'src/gql/possible-types.ts': { plugins: ['fragment-matcher'], config: { useExplicitTyping: true } },
  },
};

export default config;
