import Link from 'next/link';
import Settings from './settings';

// Made once, by the build.
export default function Home() {
  return (
    <main>
      <h1>Morizo</h1>
      <Settings />
      <Link href="/chat">Chat</Link>
    </main>
  );
}
