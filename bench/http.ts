/** Asks the platform or the simulator for something that must succeed; throws a sentence when it does not. */
export async function must<Answer>(
  method: "GET" | "POST" | "PUT" | "PATCH",
  url: string,
  options: { key?: string; body?: unknown; headers?: Readonly<Record<string, string>>; text?: string } = {},
): Promise<Answer> {
  const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const response = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as Answer;
}
