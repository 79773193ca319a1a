/** The values of a Prometheus text page that a bench looks at. */
export interface Scrape {
  /** Sum over all series of this name whose labels hold all of these. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

interface Series {
  name: string;
  labels: string;
  value: number;
}

/** Reads Prometheus' text format (version 0.0.4). */
export function parseMetrics(text: string): Scrape {
  const all: Series[] = [];
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name !== undefined) all.push({ name, labels, value: Number(value) });
  }
  return {
    sum(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      return all
        .filter((series) => series.name === name && wanted.every((each) => series.labels.includes(each)))
        .reduce((sum, series) => sum + (Number.isFinite(series.value) ? series.value : 0), 0);
    },
  };
}

/** The server's metrics now. Each look resets its event-loop delay, so that a look tells of the time since the last. */
export async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(20_000) });
  return parseMetrics(await response.text());
}
