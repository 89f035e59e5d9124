import { search } from '../../../lib/ai.mjs';

export const dynamic = 'force-dynamic';

/** What the chat asks. 502 where the API gives no answer. */
export async function GET(request) {
  const question = new URL(request.url).searchParams.get('q')?.trim();
  if (!question) return Response.json({ error: 'q is missing' }, { status: 400 });
  const answer = await search(question);
  const headers = { 'Cache-Control': 'no-store' };
  if (answer.ok) return Response.json(answer.body, { headers });
  return Response.json({ error: answer.reason }, { status: 502, headers });
}
