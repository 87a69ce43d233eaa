import { type MessagePort, parentPort, receiveMessageOnPort, type TransferListItem, Worker } from "node:worker_threads";
import { AppError } from "../../errors.ts";
import { fromPlain, type PlainError, toPlain } from "../../plain-error.ts";

/** Functions of one argument, by name. Arguments and results are structured-cloned. */
export type Operations<T> = { readonly [K in keyof T]: (args: never) => unknown };

export interface Request {
  readonly id: number;
  readonly name: string;
  /** What the operation of that name takes. */
  readonly args: never;
}

/** `T` is unknown where an outcome is made, and never (whatever the operation returned) where it arrives. */
export type Outcome<T = unknown> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: PlainError };

type Reply =
  | { readonly ready: Outcome }
  | { readonly outcomes: readonly (readonly [id: number, outcome: Outcome<never>])[] };

/**
 * Calls operations on a worker thread. A thread that dies fails the calls it had in hand with
 * `unavailable` STORE_THREAD; the next call starts another.
 */
export class ThreadClient<Ops extends Operations<Ops>> implements AsyncDisposable {
  readonly #file: string;
  readonly #data: unknown;
  readonly #waiting = new Map<number, { resolve(value: never): void; reject(error: AppError): void }>();
  #running: Promise<Worker> | undefined;
  #nextId = 1;
  #closed = false;

  constructor(file: string, data: unknown) {
    this.#file = file;
    this.#data = data;
  }

  /** Starts the thread if it is not running; rejects with what kept it from starting. */
  start(): Promise<Worker> {
    if (this.#closed) {
      return Promise.reject(new AppError("unavailable", "The store is closed.", { reason: "STORE_CLOSED" }));
    }
    this.#running ??= this.#launch();
    return this.#running;
  }

  async call<K extends keyof Ops & string>(
    name: K,
    args: Parameters<Ops[K]>[0],
    signal: AbortSignal,
    transfer: readonly TransferListItem[] = [],
  ): Promise<Awaited<ReturnType<Ops[K]>>> {
    if (signal.aborted) throw AppError.aborted(signal);
    const worker = await this.start();
    const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<Ops[K]>>>();
    const id = this.#nextId++;
    this.#waiting.set(id, { resolve, reject });
    const abort = (): void => this.#settle(id, (call) => call.reject(AppError.aborted(signal)));
    signal.addEventListener("abort", abort, { once: true });
    try {
      worker.postMessage({ id, name, args }, transfer);
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#waiting.delete(id);
    }
  }

  #launch(): Promise<Worker> {
    const { promise, resolve, reject } = Promise.withResolvers<Worker>();
    const worker = new Worker(new URL(this.#file, import.meta.url), { workerData: this.#data });
    let failure: unknown;
    worker.on("message", (reply: Reply) => {
      if ("outcomes" in reply) for (const [id, outcome] of reply.outcomes) this.#finish(id, outcome);
      else if (reply.ready.ok) resolve(worker);
      else reject(fromPlain(reply.ready.error));
    });
    worker.on("error", (error) => {
      failure = error;
    });
    worker.on("exit", () => {
      this.#running = undefined;
      const lost = new AppError("unavailable", "The store's thread ended. Try again.", {
        reason: "STORE_THREAD",
        retryAfterMs: 250,
        cause: failure,
      });
      reject(lost);
      for (const id of [...this.#waiting.keys()]) this.#settle(id, (call) => call.reject(lost));
    });
    return promise;
  }

  #finish(id: number, outcome: Outcome<never>): void {
    this.#settle(id, (call) => (outcome.ok ? call.resolve(outcome.value) : call.reject(fromPlain(outcome.error))));
  }

  #settle(id: number, act: (call: { resolve(value: never): void; reject(error: AppError): void }) => void): void {
    const call = this.#waiting.get(id);
    if (call !== undefined) act(call);
  }

  /** Lets the thread finish what it has and close its database. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const worker = await this.#running?.catch(() => undefined);
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage("close");
    await ended;
  }
}

/**
 * The thread's side: hands `run` all requests that have gathered, in order, and posts what it
 * returns. Requests that arrive meanwhile form the next group.
 */
export function serve(open: () => Served): void {
  if (parentPort === null) throw new Error("serve runs in a worker thread");
  const port: MessagePort = parentPort;
  let served: Served;
  try {
    served = open();
  } catch (error) {
    port.postMessage({ ready: failed(error) });
    return;
  }
  port.postMessage({ ready: succeeded(undefined) });
  const answer = async (group: readonly Request[]): Promise<void> => {
    const outcomes = await served.run(group);
    port.postMessage({ outcomes: group.map((request, index) => [request.id, outcomes[index]]) });
  };
  let answered = Promise.resolve();
  const take = (first: Request | "close"): void => {
    const group: Request[] = [];
    let message: Request | "close" | undefined = first;
    while (message !== undefined && message !== "close" && group.length < MAX_GROUP - 1) {
      group.push(message);
      message = receiveMessageOnPort(port)?.message;
    }
    if (message !== undefined && message !== "close") group.push(message);
    if (group.length > 0) answered = Promise.all([answered, answer(group)]).then(() => undefined);
    if (message === "close") {
      void answered.finally(() => {
        served.close();
        port.close();
      });
    }
  };
  port.on("message", take);
}

interface Served {
  /** The outcomes of a group, in its order. Never rejects. */
  run(group: readonly Request[]): Outcome[] | Promise<Outcome[]>;
  close(): void;
}

/** More in one commit delays the first without saving much on the last. */
const MAX_GROUP = 64;

/** Calls the operation a request names; what it throws is thrown. */
export function perform<Ops extends Operations<Ops>>(operations: Ops, request: Request): unknown {
  const operation = new Map<string, (args: never) => unknown>(Object.entries(operations)).get(request.name);
  if (operation === undefined) throw new Error(`there is no operation ${request.name}`);
  return operation(request.args);
}

export function succeeded(value: unknown): Outcome {
  return { ok: true, value };
}

export function failed(error: unknown): Outcome {
  return { ok: false, error: toPlain(error) };
}
