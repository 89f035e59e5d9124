import { health } from '../../../lib/ai.mjs';
import { release } from '../../../lib/release.mjs';

export const dynamic = 'force-dynamic';

/** This app's own health; with ?deep=1 that of the API too, as the app can do little without it. */
export async function GET(request) {
  const ai = await health();
  const ok = ai.ok || !new URL(request.url).searchParams.has('deep');
  const body = { status: ok ? 'ok' : 'unavailable', release: release().id, uptime_s: Math.floor(process.uptime()), ai: ai.ok ? 'ok' : ai.reason };
  return Response.json(body, { status: ok ? 200 : 503, headers: { 'Cache-Control': 'no-store' } });
}
