import { connect, type OutgoingHttpHeaders } from "node:http2";

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

/** A gRPC call said by hand: `body` is sent as it is, and then the stream is ended. */
export async function rawGrpc(
  url: string,
  method: string,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  const session = connect(url);
  session.on("error", ignored);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": `/sluice.v1.${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.on("error", ignored);
    let http = 0;
    const fields = new Map<string, unknown>();
    stream.on("response", (got) => {
      http = got[":status"] ?? 0;
      for (const [name, value] of Object.entries(got)) fields.set(name, value);
    });
    stream.on("trailers", (got) => {
      for (const [name, value] of Object.entries(got)) fields.set(name, value);
    });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise<void>((resolve) => stream.once("close", resolve));
    stream.end(body);
    await closed;
    const status = fields.get("grpc-status");
    const message = decodeURIComponent(String(fields.get("grpc-message") ?? ""));
    return { http, status: status === undefined ? undefined : Number(status), message, body: Buffer.concat(chunks) };
  } finally {
    session.destroy();
  }
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
