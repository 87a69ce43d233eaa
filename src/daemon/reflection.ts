import { type DescExtension, type DescFile, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { file_grpc_health_v1_health } from "../wire/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../wire/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../wire/gen/grpc/reflection/v1alpha/reflection_pb.ts";

/**
 * Serves grpc.reflection.v1 and v1alpha (what older tools ask for) over `files`, and over health
 * and reflection itself, which every daemon has. Answers as grpc-go does: a file comes with all it
 * depends on, and what a call has been sent already is left out of its later answers.
 */
export function registerReflection(router: ConnectRouter, files: readonly DescFile[]): void {
  const schema = new Schema([...files, file_grpc_health_v1_health, ServerReflection.file, ServerReflectionAlpha.file]);
  router.service(ServerReflection, {
    async *serverReflectionInfo(requests) {
      const sent = new Set<string>();
      for await (const request of requests) {
        yield {
          validHost: request.host,
          originalRequest: request,
          messageResponse: schema.answer(request.messageRequest, sent),
        };
      }
    },
  });
  router.service(ServerReflectionAlpha, {
    async *serverReflectionInfo(requests) {
      const sent = new Set<string>();
      for await (const request of requests) {
        yield {
          validHost: request.host,
          originalRequest: request,
          messageResponse: schema.answer(request.messageRequest, sent),
        };
      }
    },
  });
}

/** Files by name, symbol and extension. Encoded once, when first asked for. */
class Schema {
  readonly #files = new Map<string, DescFile>();
  readonly #bySymbol = new Map<string, DescFile>();
  readonly #extensions = new Map<string, Map<number, DescFile>>();
  readonly #services: string[] = [];
  readonly #encoded = new Map<string, Uint8Array>();

  constructor(roots: readonly DescFile[]) {
    for (const file of withDependencies(roots)) this.#add(file);
    const listed = new Set(roots.flatMap((file) => file.services.map((service) => service.typeName)));
    this.#services.push(...[...listed].sort());
  }

  answer(question: Question, sent: Set<string>): Answer {
    switch (question.case) {
      case "fileByFilename":
        return this.#fileAnswer(this.#files.get(question.value), sent, `file ${question.value}`);
      case "fileContainingSymbol": {
        // Some clients write names as the compiler does, with a leading dot.
        const file = this.#bySymbol.get(question.value.replace(/^\./, ""));
        return this.#fileAnswer(file, sent, `symbol ${question.value}`);
      }
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = question.value;
        const file = this.#extensions.get(containingType)?.get(extensionNumber);
        return this.#fileAnswer(file, sent, `extension ${extensionNumber} of ${containingType}`);
      }
      case "allExtensionNumbersOfType": {
        const numbers = this.#extensions.get(question.value);
        if (numbers === undefined) return failure(Code.NotFound, `no message ${question.value} here`);
        const extensionNumber = [...numbers.keys()].sort((a, b) => a - b);
        return { case: "allExtensionNumbersResponse", value: { baseTypeName: question.value, extensionNumber } };
      }
      case "listServices":
        return { case: "listServicesResponse", value: { service: this.#services.map((name) => ({ name })) } };
      case undefined:
        return failure(Code.InvalidArgument, "the request asks for nothing known to this daemon");
      default:
        return question satisfies never;
    }
  }

  #fileAnswer(file: DescFile | undefined, sent: Set<string>, what: string): Answer {
    if (file === undefined) return failure(Code.NotFound, `no ${what} here`);
    // What is asked for is sent though it was sent before.
    const fresh = withDependencies([file]).filter(({ name }) => name === file.name || !sent.has(name));
    for (const { name } of fresh) sent.add(name);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: fresh.map((each) => this.#encode(each)) } };
  }

  #encode(file: DescFile): Uint8Array {
    const encoded = this.#encoded.get(file.name) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    this.#encoded.set(file.name, encoded);
    return encoded;
  }

  #add(file: DescFile): void {
    this.#files.set(file.proto.name, file);
    for (const desc of nestedTypes(file)) {
      if (desc.kind !== "extension") this.#bySymbol.set(desc.typeName, file);
      switch (desc.kind) {
        case "message":
          for (const { name } of desc.members) this.#bySymbol.set(`${desc.typeName}.${name}`, file);
          if (!this.#extensions.has(desc.typeName)) this.#extensions.set(desc.typeName, new Map());
          break;
        case "enum":
          // A value is named in the scope its enum is in.
          for (const { name } of desc.values) this.#bySymbol.set(`${scopeOf(desc.typeName)}${name}`, file);
          break;
        case "service":
          for (const { name } of desc.methods) this.#bySymbol.set(`${desc.typeName}.${name}`, file);
          break;
        case "extension":
          this.#addExtension(desc, file);
          break;
        default: {
          desc satisfies never;
        }
      }
    }
  }

  #addExtension(extension: DescExtension, file: DescFile): void {
    const numbers = this.#extensions.get(extension.extendee.typeName) ?? new Map<number, DescFile>();
    this.#extensions.set(extension.extendee.typeName, numbers.set(extension.number, file));
    this.#bySymbol.set(extension.typeName, file);
  }
}

/** What both versions of the protocol can ask. */
type Question =
  | { readonly case: "fileByFilename" | "fileContainingSymbol"; readonly value: string }
  | { readonly case: "allExtensionNumbersOfType" | "listServices"; readonly value: string }
  | { readonly case: "fileContainingExtension"; readonly value: ExtensionName }
  | { readonly case: undefined; readonly value?: undefined };

interface ExtensionName {
  readonly containingType: string;
  readonly extensionNumber: number;
}

type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

function failure(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/** The files and all they depend on, each once, breadth first. */
function withDependencies(roots: readonly DescFile[]): DescFile[] {
  const found = new Map(roots.map((file) => [file.name, file]));
  // A Map is walked in the order of insertion, what is added during the walk included.
  for (const file of found.values()) {
    for (const dependency of file.dependencies) {
      if (!found.has(dependency.name)) found.set(dependency.name, dependency);
    }
  }
  return [...found.values()];
}

/** "a.b.C" gives "a.b."; a name without a package gives "". */
function scopeOf(typeName: string): string {
  return typeName.slice(0, typeName.lastIndexOf(".") + 1);
}
