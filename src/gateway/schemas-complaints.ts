import { type Static, Type } from "typebox";
import { type Complaint, type ComplaintKind, complaintKinds } from "../orchestration/order.ts";
import { component, instant, listOf, oneOf, printableLines, strict } from "./schemas.ts";
import { actHeaders } from "./schemas-orders.ts";

export const complaintHeaders = actHeaders;

const bodyShape = strict({
  kind: oneOf<ComplaintKind>(complaintKinds),
  text: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2_000,
      pattern: printableLines,
      description: "in the customer's words",
    }),
  ),
  leg: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, description: "of a split order: which leg it is about" }),
  ),
});
export const complaintBody = component<Static<typeof bodyShape>>("NewComplaint", bodyShape);

export const complaint = component<Complaint & { text?: string }>(
  "Complaint",
  Type.Object({
    id: Type.String(),
    kind: oneOf<ComplaintKind>(complaintKinds),
    at: instant("RFC 3339 UTC"),
    channelId: Type.String({ description: "the channel that had the order" }),
    text: Type.Optional(Type.String()),
  }),
);
export const complaintList = listOf(complaint.ref);
