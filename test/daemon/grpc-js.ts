import { fileURLToPath } from "node:url";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));
const DEFINITION = loadSync(["sluice/v1/ingest.proto", "sluice/v1/sessions.proto", "sluice/v1/keys.proto"], {
  includeDirs: [PROTO],
  longs: String,
  enums: String,
  bytes: Buffer,
  defaults: true,
  oneofs: true,
});
// As a stock client would: it fails when the files cannot be put together.
loadPackageDefinition(DEFINITION);

type Service = "IngestService" | "SessionsService" | "KeysService";

/** The client that people write in Node: @grpc/grpc-js with the .proto files, none of our code in it. */
export class GrpcJsClient implements Disposable {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  /** `url` is a daemon's; `key` an API key. */
  constructor(url: string, { key, tls }: { readonly key?: string; readonly tls?: ChannelCredentials } = {}) {
    this.#client = new Client(new URL(url).host, tls ?? credentials.createInsecure());
    if (key !== undefined) this.#metadata.set("authorization", `Bearer ${key}`);
  }

  unary(service: Service, method: string, request: object): Promise<unknown> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      this.#metadata,
      (error, value) => (error === null ? resolve(value) : reject(error)),
    );
    return promise;
  }

  async *serverStream(service: Service, method: string, request: object): AsyncGenerator<unknown> {
    const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
    yield* this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, this.#metadata);
  }

  upload(): ClientDuplexStream<object, unknown> {
    const { path, requestSerialize, responseDeserialize } = methodOf("IngestService", "Upload");
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.#metadata);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** The bytes that protobufjs makes of a request, an encoder that is not ours. */
export function serialize(service: Service, method: string, request: object): Buffer {
  return methodOf(service, method).requestSerialize(request);
}

function methodOf(service: Service, method: string): ServiceDefinition[string] {
  const definition = DEFINITION[`sluice.v1.${service}`];
  // What is no service is a message or an enum, which has a format.
  if (definition === undefined || "format" in definition) throw new Error(`there is no service ${service}`);
  const found = Object.entries(definition).find(([name]) => name === method)?.[1];
  if (found === undefined) throw new Error(`there is no method ${method}`);
  return found;
}
