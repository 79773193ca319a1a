import { type Static, Type } from "typebox";

const Range = Type.Object(
  { min: Type.Integer({ minimum: 0 }), max: Type.Integer({ minimum: 0 }) },
  { additionalProperties: false },
);
const Rate = Type.Number({ minimum: 0, maximum: 1 });

const knobs = {
  latencyMs: Type.Unsafe<Static<typeof Range>>({ ...Range, description: "how long a call takes" }),
  refuseRate: Type.Unsafe<number>({ ...Rate, description: "holds and bookings answered with a no" }),
  failRate: Type.Unsafe<number>({
    ...Rate,
    description: "calls answered 500; half of them have done their work",
  }),
  timeoutRate: Type.Unsafe<number>({
    ...Rate,
    description: "calls never answered; half of them have done their work",
  }),
  duplicateCallbackRate: Type.Unsafe<number>({ ...Rate, description: "reports sent twice" }),
  earlyCallbackRate: Type.Unsafe<number>({
    ...Rate,
    description: "bookings whose first report comes before their answer",
  }),
  giveBackRate: Type.Unsafe<number>({ ...Rate, description: "bookings given back before they leave" }),
  doorShutRate: Type.Unsafe<number>({ ...Rate, description: "deliveries that find the door shut" }),
  cancelFeeMinor: Type.Integer({
    minimum: 0,
    description: "what cancelling a booking costs; 0: it says nothing of a fee",
  }),
  batch: Type.Boolean({ description: "whether batches are taken" }),
  callbacks: Type.Union([Type.Literal("on"), Type.Literal("off"), Type.Literal("manual")], {
    description:
      "on: cooks and reports by itself; manual: reports what POST /control/report says; off: silent",
  }),
  prepMs: Type.Unsafe<Static<typeof Range>>({ ...Range, description: "from booked to preparing" }),
  readyMs: Type.Unsafe<Static<typeof Range>>({ ...Range, description: "from preparing to ready" }),
  dispatchMs: Type.Unsafe<Static<typeof Range>>({ ...Range, description: "from ready to dispatched" }),
  deliverMs: Type.Unsafe<Static<typeof Range>>({ ...Range, description: "from dispatched to delivered" }),
};

const Behaviour = Type.Object(knobs, { additionalProperties: false });

/** Some of the knobs; the others stay as they are. */
export const BehaviourPatch = Type.Partial(Behaviour, { additionalProperties: false });

/** How a simulated channel behaves; each knob can be changed while it runs. */
export type Behaviour = Static<typeof Behaviour>;
export type BehaviourPatch = Static<typeof BehaviourPatch>;

/** A well-behaved channel: delivered about ten seconds after the booking. */
export const defaultBehaviour: Behaviour = {
  latencyMs: { min: 5, max: 30 },
  refuseRate: 0,
  failRate: 0,
  timeoutRate: 0,
  duplicateCallbackRate: 0,
  earlyCallbackRate: 0,
  giveBackRate: 0,
  doorShutRate: 0,
  cancelFeeMinor: 0,
  batch: true,
  callbacks: "on",
  prepMs: { min: 500, max: 1_500 },
  readyMs: { min: 2_000, max: 4_000 },
  dispatchMs: { min: 500, max: 1_500 },
  deliverMs: { min: 4_000, max: 6_000 },
};
