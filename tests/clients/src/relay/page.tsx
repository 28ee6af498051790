// A page without a browser: components are rendered for real, and used by their names.
import { Window } from 'happy-dom';
import { Suspense, type ReactNode } from 'react';
import { RelayEnvironmentProvider } from 'react-relay';
import { vi } from 'vitest';

import { given, Line, tokenOf, url } from '../server.ts';
import { connect } from './environment.ts';

const window = new Window();
Object.assign(globalThis, { window, document: window.document });
const { createRoot } = await import('react-dom/client');

export class Page {
  readonly line = new Line();
  private readonly root = document.createElement('div');

  constructor(person: string, shown: ReactNode) {
    const environment = connect(url, () => tokenOf(person), this.line.fetch);
    createRoot(this.root).render(
      <RelayEnvironmentProvider environment={environment}>
        <Suspense fallback={<p>…</p>}>{shown}</Suspense>
      </RelayEnvironmentProvider>,
    );
  }

  /** The rows' ids and texts, as they stand. */
  rows(): [string, string][] {
    return [...this.root.querySelectorAll('li')].map((row) => [row.id, row.textContent]);
  }

  text(selector: string): string | undefined {
    return this.root.querySelector(selector)?.textContent;
  }

  click(name: string, within = ''): void {
    given(this.root.querySelector<HTMLElement>(`${within} button[name=${name}]`)).click();
  }

  /** The rows, once there are so many. */
  async until(count: number): Promise<[string, string][]> {
    return await vi.waitFor(() => {
      const rows = this.rows();
      if (rows.length !== count) throw new Error(`${rows.length} rows instead of ${count}: ${this.root.innerHTML}`);
      return rows;
    }, { timeout: 20_000 });
  }
}
