import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";

export interface RawAnswer {
  /** Of HTTP; 0 when the stream was reset without an answer. */
  readonly http: number;
  /** grpc-status, from the headers or the trailers; undefined when it has none. */
  readonly status: number | undefined;
  readonly message: string;
  readonly body: Buffer;
}

/** A message in the envelope that gRPC and streaming Connect calls have. */
export function envelope(message: Uint8Array, { flags = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export interface RawCall {
  readonly stream: ClientHttp2Stream;
  /** How it ended, once it has. */
  readonly answer: Promise<RawAnswer>;
}

/** Opens a gRPC call; what is written to its stream goes out as it is. */
export function startGrpc(session: ClientHttp2Session, method: string, headers: OutgoingHttpHeaders = {}): RawCall {
  const stream = session.request({
    ":method": "POST",
    ":path": `/sluice.v1.${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const { promise, resolve } = Promise.withResolvers<RawAnswer>();
  const fields = new Map<string, unknown>();
  const note = (got: object): void => {
    for (const [name, value] of Object.entries(got)) fields.set(name, value);
  };
  const chunks: Buffer[] = [];
  stream.on("error", ignored);
  stream.on("response", note);
  stream.on("trailers", note);
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.once("close", () => {
    const status = fields.get("grpc-status");
    resolve({
      http: Number(fields.get(":status") ?? 0),
      status: status === undefined ? undefined : Number(status),
      message: decodeURIComponent(String(fields.get("grpc-message") ?? "")),
      body: Buffer.concat(chunks),
    });
  });
  return { stream, answer: promise };
}

/** An HTTP/2 connection that bears being cut off. */
export function openSession(url: string, options: SecureClientSessionOptions = {}): ClientHttp2Session & Disposable {
  const session = connect(url, options);
  session.on("error", ignored);
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

/** A gRPC call said by hand: `body` is sent as it is, and then the stream is ended. */
export async function rawGrpc(
  url: string,
  method: string,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  using session = openSession(url);
  const { stream, answer } = startGrpc(session, method, headers);
  stream.end(body);
  return await answer;
}

export interface PlainAnswer {
  readonly status: number;
  readonly answer: unknown;
}

/** A unary Connect call with any body there may be. */
export async function rawPost(
  url: string,
  method: string,
  type: string,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  headers: Readonly<Record<string, string>> = {},
): Promise<PlainAnswer> {
  const response = await fetch(`${url}/sluice.v1.${method}`, {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body,
    ...(body instanceof ReadableStream && { duplex: "half" }),
  });
  const answer: unknown = JSON.parse(await response.text());
  return { status: response.status, answer };
}

function ignored(): void {}
