'use client';

// In the browser's code these names stand for the values that the build had.
export default function Settings() {
  return (
    <dl>
      <dt>NEXT_PUBLIC_SUPABASE_URL</dt>
      <dd id="supabase-url">{process.env.NEXT_PUBLIC_SUPABASE_URL || 'not set'}</dd>
      <dt>NEXT_PUBLIC_SUPABASE_ANON_KEY</dt>
      <dd id="supabase-anon-key">{process.env.NEXT_PUBLIC_SUPABASE_ANON_KEY || 'not set'}</dd>
    </dl>
  );
}
