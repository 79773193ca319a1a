import { readFileSync } from "node:fs";
import { Agent, errors, request } from "undici";

/** What the platform answered. */
export interface Answer<Body = unknown> {
  status: number;
  /** `Idempotency-Replayed: true`: the key was known. */
  replayed: boolean;
  body: Body;
}

type Method = "GET" | "POST" | "PUT" | "PATCH";

/**
 * A client of the API that knows all processes: requests go to them in turn, and on to the next when one takes no connection. `null` is no
 * answer: none took the request, the connection was cut, or nothing came in time.
 */
export interface Client extends AsyncDisposable {
  send<Body>(
    method: Method,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<Body> | null>;
  /** The same for what must succeed: throws what the answer says otherwise. */
  must<Body>(method: Method, path: string, body?: unknown): Promise<Body>;
  /** What every process answers to a GET; null: nothing. */
  each<Body>(path: string): Promise<readonly (Answer<Body> | null)[]>;
  /** Requests that a process took and did not answer, so far: what was asked, and how that ended. */
  readonly cutOff: readonly string[];
  readonly authorization: string;
}

/** All orders of a round at once, each on a connection of its own. */
const connections = 256;
const answerTimeoutMs = 20_000;

export function createClient(urls: readonly string[], keyFile: string): Client {
  const agent = new Agent({ connections, pipelining: 1, connectTimeout: 5_000 });
  const authorization = `Bearer ${readFileSync(keyFile, "utf8").trim()}`;
  let turn = 0;
  const cutOff: string[] = [];

  const sendTo = async <Body>(
    url: string,
    ...[method, path, body, headers = {}]: Parameters<Client["send"]>
  ): Promise<Answer<Body>> => {
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
  };

  const send: Client["send"] = async <Body>(...call: Parameters<Client["send"]>) => {
    turn += 1;
    for (let index = 0; index < urls.length; index += 1) {
      try {
        return await sendTo<Body>(urls[(turn + index) % urls.length]!, ...call);
      } catch (error) {
        if (neverSent(error)) continue;
        cutOff.push(`${call[0]} ${call[1]}: ${(error as Error).message}`);
        return null; // also in the middle of the body, which then is no JSON
      }
    }
    return null;
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
    each: <Body>(path: string) =>
      Promise.all(urls.map((url) => sendTo<Body>(url, "GET", path).catch(() => null))),
    cutOff,
    authorization,
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

/** No connection was made: the next process may be asked without a doubt. */
const neverSent = (error: unknown): boolean =>
  error instanceof errors.ConnectTimeoutError ||
  (error as { code?: unknown; syscall?: unknown } | undefined)?.syscall === "connect";
