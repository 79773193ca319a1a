import { Compile } from "typebox/compile";
import {
  type Answer,
  type AttemptCall,
  BatchCall,
  BookCall,
  CancelCall,
  HoldCall,
  ListCall,
  StatusCall,
} from "../../src/channels/protocol.ts";
import { createSigner } from "../../src/channels/signature.ts";
import { type Entry, judge, stillHolds } from "../../src/channels/simulator/judge.ts";
import { testServer } from "../channels/support.ts";

const shapes = {
  book: Compile(BookCall),
  hold: Compile(HoldCall),
  cancel: Compile(CancelCall),
  batch: Compile(BatchCall),
  status: Compile(StatusCall),
  list: Compile(ListCall),
};
type CallName = keyof typeof shapes;

interface Reply {
  code: number;
  body: unknown;
}

/** Where one thing may go wrong; every hook of a right partner is absent. */
export interface Wrong {
  capabilities?: Reply;
  /** Whether a call counts as signed, in place of looking. */
  signed?: (right: boolean, headers: Record<string, unknown>, body: string) => boolean;
  /** Skips looking whom the body is for. */
  trusting?: boolean;
  /** In place of 400 for a body that is not as described. */
  badInput?: Reply;
  /** Sees fields that it does not know. */
  strict?: boolean;
  /** Its memory before it judges: undefined forgets. */
  recall?: (entry: Entry | undefined, call: AttemptCall) => Entry | undefined;
  /** The call as it takes it. */
  reads?: (call: AttemptCall) => AttemptCall;
  /** What it answers instead of what it decided. */
  says?: (answer: Answer, call: AttemptCall) => Answer;
  refusalCode?: number;
  /** Hears of each new booking; may change it, as a kitchen would. */
  onBooked?: (entry: Entry) => void;
  /** Judges, waits, and only then remembers. */
  forgetful?: boolean;
  delayMs?: (call: AttemptCall) => number;
  unsupported?: CallName[];
  batch?: (results: Answer[]) => unknown;
  state?: (state: string) => string;
  page?: (items: Entry[], limit: number) => Entry[];
}

/** A partner that keeps every rule but those that it is told to break. */
export function startPartner(to: { channelId: string; secret: string; partner?: string }, wrong: Wrong = {}) {
  const signer = createSigner(to.secret);
  const entries = new Map<string, Entry>();

  const settle = async (told: AttemptCall): Promise<Answer> => {
    const call = wrong.reads?.(told) ?? told;
    const known = entries.get(call.key);
    const before = wrong.recall ? wrong.recall(known, call) : known;
    const seq = known?.seq ?? entries.size + 1;
    const fresh = before === known ? "" : `-${crypto.randomUUID()}`;
    const bookingRef = wrong.forgetful && !known ? crypto.randomUUID() : `R-${seq}${fresh}`;
    const verdict = judge(before, call, { nowMs: Date.now(), full: false, cancelFeeMinor: 0, bookingRef });
    if (wrong.forgetful && verdict.answer.status === "booked" && !known) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (entries.get(call.key)?.state === "tombstone") return settle(told);
    }
    if (verdict.change) {
      const at = new Date().toISOString();
      const base = { key: call.key, channelId: to.channelId, orderId: call.orderId, at };
      const entry = { ...base, ...known, ...verdict.change, seq };
      entries.set(call.key, entry);
      if (entry.state === "booked" && known?.state !== "booked") wrong.onBooked?.(entry);
    }
    const ms = wrong.delayMs?.(call) ?? 0;
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    return wrong.says?.(verdict.answer, call) ?? verdict.answer;
  };

  const show = (entry: Entry) => {
    const state = entry.state === "held" && !stillHolds(entry, Date.now()) ? "cancelled" : entry.state;
    return {
      key: entry.key,
      channelId: to.channelId,
      state: wrong.state?.(state) ?? state,
      bookingRef: entry.bookingRef,
      at: entry.at,
    };
  };

  async function answer(path: CallName, body: Record<string, unknown>): Promise<Reply> {
    if (path === "status") {
      const entry = entries.get(String(body.key));
      return {
        code: 200,
        body: entry ? show(entry) : { key: body.key, channelId: to.channelId, state: "none" },
      };
    }
    if (path === "list") {
      const from = Number(body.cursor ?? 0);
      const limit = Number(body.limit ?? 100);
      const all = [...entries.values()];
      const items = (wrong.page?.(all.slice(from), limit) ?? all.slice(from, from + limit)).map(show);
      return {
        code: 200,
        body: { items, nextCursor: from + limit < all.length ? String(from + limit) : null },
      };
    }
    if (path === "batch") {
      const results = await Promise.all((body.calls as AttemptCall[]).map(settle));
      return { code: 200, body: wrong.batch?.(results) ?? { results } };
    }
    const said = await settle(body as AttemptCall);
    return { code: said.status === "refused" ? (wrong.refusalCode ?? 409) : 200, body: said };
  }

  async function receive(url: string, headers: Record<string, unknown>, text: string): Promise<Reply> {
    const path = url.slice(1) as CallName;
    if (url === "/capabilities") {
      return (
        wrong.capabilities ?? { code: 200, body: { protocol: "uoop-channel/1", batch: true, maxBatch: 20 } }
      );
    }
    if (!(path in shapes) || wrong.unsupported?.includes(path)) return { code: 404, body: {} };
    const right = signer.verifies(headers, text);
    if (!(wrong.signed?.(right, headers, text) ?? right)) return { code: 401, body: {} };
    let body: Record<string, unknown>;
    try {
      body = JSON.parse(text);
    } catch {
      return wrong.badInput ?? { code: 400, body: {} };
    }
    const mine = body.call === path && body.channelId === to.channelId && body.partner === to.partner;
    if (!mine && !wrong.trusting) return { code: 400, body: {} };
    if (wrong.strict && "later" in body) return { code: 400, body: {} };
    if (!shapes[mine ? path : (body.call as CallName)]?.Check(body))
      return wrong.badInput ?? { code: 400, body: {} };
    return answer(path, wrong.trusting ? { ...body, call: path } : body);
  }

  return testServer((request, response, text) => {
    void receive(request.url ?? "", request.headers, text).then(({ code, body }) =>
      response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body)),
    );
  });
}
