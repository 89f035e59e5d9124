export const metadata = { title: 'Morizo', description: 'Recipes by conversation' };

export default function Layout({ children }) {
  return (
    <html lang="ja">
      <body>{children}</body>
    </html>
  );
}
