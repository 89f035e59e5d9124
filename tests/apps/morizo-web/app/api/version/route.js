import { release } from '../../../lib/release.mjs';

export const dynamic = 'force-dynamic';

export function GET() {
  const { id, commit } = release();
  const body = { release: id, commit, pid: process.pid, cwd: process.cwd(), node: process.version };
  return Response.json(body, { headers: { 'Cache-Control': 'no-store' } });
}
