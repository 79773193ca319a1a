import { type LookupAddress, type LookupAllOptions, lookup } from "node:dns";
import { BlockList, isIP, isIPv4, type LookupFunction } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";

/** Where webhooks may go. `public`: https on the internet; `any`: everywhere (development, tests). */
export type TargetRule = "public" | "any";

export type Resolve = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

// IANA's registries of special-purpose addresses (RFC 6890 and its successors), multicast, and clouds' metadata services outside of them.
const refusedV4 = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
  ...["192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"],
  ...["203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"],
];
const refusedV6 = [
  ...["::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
  ...["5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
];
const refused = new BlockList();
for (const [family, ranges] of [["ipv4", refusedV4] as const, ["ipv6", refusedV6] as const]) {
  for (const range of ranges) {
    const [net, bits] = range.split("/") as [string, string];
    refused.addSubnet(net, Number(bits), family);
  }
}
const translated = new BlockList();
translated.addSubnet("64:ff9b::", 96, "ipv6");

/** Whether an address is on the internet. An IPv4 address inside an IPv6 one (mapped, NAT64) counts as itself. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !refused.check(address, "ipv4");
  const plain = address.split("%", 1)[0]!; // without a zone
  if (isIP(plain) !== 6 || address !== plain) return false;
  if (translated.check(plain, "ipv6")) return isPublicAddress(lastFourBytes(plain));
  return !refused.check(plain, "ipv6"); // checks mapped ones against the IPv4 ranges
}

function lastFourBytes(address: string): string {
  const dotted = /(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  if (dotted) return dotted;
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::").at(-1)!.split(":");
  const [high, low] = ["0", ...groups].slice(-2).map((group) => Number.parseInt(group || "0", 16));
  return [high! >> 8, high! & 255, low! >> 8, low! & 255].join(".");
}

/**
 * What is wrong with an address as it is written; null when nothing. Names are not resolved here: what they resolve to is
 * looked at when a connection is made, and only then does it count.
 */
export function refuseUrl(text: string, rule: TargetRule): string | null {
  const url = new URL(text);
  if (rule === "any") return null;
  if (url.protocol !== "https:") return "must be https";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const named = isIP(host) === 0;
  if (named ? /(^|\.)(localhost|local|internal)\.?$/.test(host) : !isPublicAddress(host))
    return "must be on the internet: private, loopback, link-local and metadata addresses are not called";
  return null;
}

class TargetRefused extends Error {
  readonly code = "TARGET_REFUSED";
}

const connectTimeoutMs = 5_000;

/**
 * Connections to one webhook, kept alive. With `public` the address that is connected to is the one that was checked: the name
 * is resolved once, by the connection itself, so a name that resolves to something else the next moment (DNS rebinding) gains
 * nothing. A name of which one address is private is refused whole.
 */
export function createDispatcher(
  rule: TargetRule,
  connections: number,
  resolve: Resolve = lookup,
): Dispatcher {
  const options = { connections, pipelining: 1, keepAliveTimeout: 30_000, keepAliveMaxTimeout: 60_000 };
  const connect = buildConnector(
    rule === "any"
      ? { timeout: connectTimeoutMs }
      : { timeout: connectTimeoutMs, lookup: checkedLookup(resolve) },
  );
  return new Agent({
    ...options,
    connect: (target, callback) => {
      const host = target.hostname.replace(/^\[|\]$/g, "");
      // An address needs no look-up, so the hook would not see it.
      if (rule === "public" && isIP(host) !== 0 && !isPublicAddress(host))
        return callback(new TargetRefused(`${host} is not an address of the internet`), null);
      connect(target, callback);
    },
  });
}

const checkedLookup =
  (resolve: Resolve): LookupFunction =>
  (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "", 0);
      const first = addresses[0];
      const wrong = addresses.find(({ address }) => !isPublicAddress(address));
      if (!first || wrong)
        return callback(
          new TargetRefused(`${host} resolves to ${wrong?.address ?? "nothing"}, which is not called`),
          "",
          0,
        );
      if (options.all)
        return (callback as unknown as (e: null, all: LookupAddress[]) => void)(null, addresses);
      callback(null, first.address, first.family);
    });
  };
