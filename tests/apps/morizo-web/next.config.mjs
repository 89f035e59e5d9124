// NEXT_OUTPUT=standalone: a build that runs without node_modules. Otherwise `next start` and server.js need them.
const standalone = process.env.NEXT_OUTPUT === 'standalone';

export default {
  ...(standalone && { output: 'standalone' }),
  // This directory is all there is, also where it lies inside another project.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  poweredByHeader: false,
  // The pages have no pictures: 19 MB less in a standalone build.
  images: { unoptimized: true },
  // One process builds: it has to fit a small host.
  experimental: { cpus: 1 },
};
