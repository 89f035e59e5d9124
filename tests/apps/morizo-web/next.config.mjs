// NEXT_OUTPUT=standalone: a build that runs without node_modules. Otherwise `next start` and server.js need them.
const standalone = process.env.NEXT_OUTPUT === 'standalone';

export default {
  ...(standalone && { output: 'standalone' }),
  // This directory is all there is, also where it lies inside another project.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  poweredByHeader: false,
  // The pages have no pictures: without what would scale them a standalone build is half as big.
  images: { unoptimized: true },
  outputFileTracingExcludes: { 'next-server': ['**/node_modules/sharp/**', '**/node_modules/@img/**'] },
  // One process builds: it has to fit a small host.
  experimental: { cpus: 1 },
};
