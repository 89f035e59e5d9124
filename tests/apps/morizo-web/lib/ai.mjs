// The API behind this app, which nobody else reaches. Each answer is {ok: true, body} or {ok: false, reason}.

const TIMEOUT_MS = 5000;

async function ask(path) {
  const base = process.env.MORIZO_AI_URL;
  if (!base) return { ok: false, reason: 'MORIZO_AI_URL is not set' };
  try {
    const response = await fetch(new URL(path, base), { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) return { ok: false, reason: `the API answered ${response.status}` };
    return { ok: true, body: await response.json() };
  } catch (error) {
    return { ok: false, reason: `the API does not answer: ${error.cause?.code ?? error.name}` };
  }
}

export const health = () => ask('/health');

export const search = (question) => ask(`/search?${new URLSearchParams({ q: question })}`);
