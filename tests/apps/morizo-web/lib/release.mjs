import fs from 'node:fs';
import path from 'node:path';

/** What the deploy wrote about the release that this process was started in; empty where nothing was deployed. */
export function release() {
  try {
    const text = fs.readFileSync(path.join(/* turbopackIgnore: true */ process.cwd(), 'RELEASE.json'), 'utf8');
    const { id = null, commit = null } = JSON.parse(text);
    return { id, commit };
  } catch (error) {
    if (error.code === 'ENOENT') return { id: null, commit: null };
    throw error;
  }
}
