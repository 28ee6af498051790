import { transformAsync } from '@babel/core';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [
    {
      // Replaces graphql`…` by what relay-compiler made of it, as every Relay project's bundler must.
      name: 'relay',
      enforce: 'pre',
      async transform(code, file) {
        if (!file.includes('/src/relay/') || !code.includes('graphql`')) return null;
        const done = await transformAsync(code, {
          filename: file,
          babelrc: false,
          configFile: false,
          sourceMaps: true,
          parserOpts: { plugins: ['typescript', 'jsx'] },
          plugins: [['babel-plugin-relay', { eagerEsModules: true }]],
        });
        return done === null ? null : { code: done.code ?? '', map: done.map ?? null };
      },
    },
  ],
  test: { include: ['src/**/*.test.{ts,tsx}'], testTimeout: 60_000 },
});
