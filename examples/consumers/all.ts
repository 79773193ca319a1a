import { analytics } from "./analytics.ts";
import type { Consumer } from "./consumer.ts";
import { inventory } from "./inventory.ts";
import { logistics } from "./logistics.ts";
import { notification } from "./notification.ts";
import { payment } from "./payment.ts";

export const consumers: readonly Consumer[] = [inventory, payment, logistics, analytics, notification];
