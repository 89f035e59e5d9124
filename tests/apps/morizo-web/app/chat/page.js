import { search } from '../../lib/ai.mjs';

export const dynamic = 'force-dynamic';

/** The answer is fetched by this server, so what the page shows has come from the API. */
export default async function Chat({ searchParams }) {
  const { q } = await searchParams;
  const question = typeof q === 'string' ? q.trim() : '';
  const answer = question ? await search(question) : null;
  return (
    <main>
      <h1>Chat</h1>
      <form>
        <input name="q" defaultValue={question} aria-label="Question" />
        <button>Ask</button>
      </form>
      {answer && (answer.ok ? <pre id="answer">{JSON.stringify(answer.body, null, 2)}</pre> : <p id="trouble">{answer.reason}</p>)}
    </main>
  );
}
