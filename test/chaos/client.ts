import { readFileSync } from "node:fs";
import { Agent, request } from "undici";

/** What the platform answered. */
export interface Answer<Body = unknown> {
  status: number;
  /** `Idempotency-Replayed: true`: the key was known. */
  replayed: boolean;
  body: Body;
}

type Method = "GET" | "POST" | "PUT" | "PATCH";

/** A client of the API. `null` is no answer: the connection was refused or cut, or nothing came in time. */
export interface Client extends AsyncDisposable {
  send<Body>(
    method: Method,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<Body> | null>;
  /** The same for what must succeed: throws what the answer says otherwise. */
  must<Body>(method: Method, path: string, body?: unknown): Promise<Body>;
  readonly authorization: string;
}

/** All orders of a round at once, each on a connection of its own. */
const connections = 256;
const answerTimeoutMs = 20_000;

export function createClient(url: string, keyFile: string): Client {
  const agent = new Agent({ connections, pipelining: 1, connectTimeout: 5_000 });
  const authorization = `Bearer ${readFileSync(keyFile, "utf8").trim()}`;

  const send: Client["send"] = async (method, path, body, headers = {}) => {
    try {
      const answer = await request(`${url}${path}`, {
        method,
        dispatcher: agent,
        headersTimeout: answerTimeoutMs,
        bodyTimeout: answerTimeoutMs,
        headers: {
          authorization,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return {
        status: answer.statusCode,
        replayed: answer.headers["idempotency-replayed"] === "true",
        body: JSON.parse(text),
      };
    } catch {
      return null; // cut off: also in the middle of the body, which then is no JSON
    }
  };

  return {
    send,
    async must<Body>(method: Method, path: string, body?: unknown) {
      const answer = await send<Body>(method, path, body);
      if (answer && answer.status < 300) return answer.body;
      throw new Error(
        `${method} ${path}: ${answer ? `${answer.status} ${JSON.stringify(answer.body)}` : "no answer"}`,
      );
    },
    authorization,
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}
