/**
 * A channel's quality, 0 to 1, from what it did: the weighted geometric mean of six shares,
 *
 *   quality = ∏ share_i ^ weight_i,   share_i = (good_i + m · prior) / (of_i + m),   Σ weight_i = 1
 *
 * Each share is the mean of a beta distribution that began with `m` orders of the quality that operations rated (`prior`): with nothing
 * measured all shares are the prior, and so is their mean; with many orders it is what was measured. A geometric mean, since a
 * channel that is bad at one thing is not mended by others: half of the promises missed costs as much wherever the rest stands.
 * Source of the smoothing: the posterior mean of the beta-binomial (Gelman et al., Bayesian Data Analysis, §2.4).
 */
export const parts = [
  "acceptance",
  "booking",
  "preparation",
  "punctuality",
  "fulfilment",
  "complaints",
] as const;
export type PartName = (typeof parts)[number];

/** What customers notice weighs most. */
export const weights: Readonly<Record<PartName, number>> = {
  acceptance: 0.15,
  booking: 0.05,
  preparation: 0.1,
  punctuality: 0.3,
  fulfilment: 0.2,
  complaints: 0.2,
};

/** `good` of `of`, both as they weigh now; 0 ≤ good ≤ of. */
export interface Share {
  good: number;
  of: number;
}

export interface Part extends Share {
  name: PartName;
  weight: number;
  /** The smoothed share. */
  share: number;
}

export interface Quality {
  score: number;
  /** As operations rate it. */
  prior: number;
  /** How many orders the prior counts as. */
  priorOrders: number;
  parts: readonly Part[];
}

export function qualityOf(
  shares: Readonly<Record<PartName, Share>>,
  prior: number,
  priorOrders: number,
): Quality {
  const made = parts.map((name): Part => {
    const { good, of } = shares[name];
    const all = of + priorOrders;
    const share = all === 0 ? prior : Math.min(1, Math.max(0, (good + priorOrders * prior) / all));
    return { name, weight: weights[name], good, of, share };
  });
  const isMeasured = made.some(({ of }) => of > 0);
  // Without rounding: powers of the same number don't multiply to exactly that number.
  const score = isMeasured
    ? made.reduce((product, { share, weight }) => product * share ** weight, 1)
    : prior;
  return { score: Math.min(1, score), prior, priorOrders, parts: made };
}
