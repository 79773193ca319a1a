/** Everything long-lived is a Service. A stop is not a failure: what was under way is drained or handed over. */
export interface Service {
  readonly name: string;
  /** Resolves when the service is ready for work; throws when it can't be. */
  start(): Promise<void>;
  /** Drains and stops. Safe to call twice, and on a service that never started. */
  stop(): Promise<void>;
}

/** Starts in order; when one can't start, those already started are stopped in reverse and its error is thrown. */
export async function startAll(services: readonly Service[]): Promise<void> {
  const started: Service[] = [];
  for (const service of services) {
    try {
      await service.start();
      started.push(service);
    } catch (error) {
      await stopAll(started).catch(() => undefined);
      throw error;
    }
  }
}

/** Stops in reverse order of start, so that intake closes before what it writes to. All are stopped; the first error is thrown at the end. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  const errors: unknown[] = [];
  for (const service of services.toReversed()) {
    await service.stop().catch((error: unknown) => errors.push(error));
  }
  if (errors.length > 0) throw errors[0];
}
