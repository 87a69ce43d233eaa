import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { registerReflection } from "../../src/daemon/reflection.ts";
import { ServerReflection, type ServerReflectionRequest } from "../../src/wire/gen/grpc/reflection/v1/reflection_pb.ts";
import { file_sluice_v1_event } from "../../src/wire/gen/sluice/v1/event_pb.ts";
import { IngestService } from "../../src/wire/gen/sluice/v1/ingest_pb.ts";
import { SessionsService } from "../../src/wire/gen/sluice/v1/sessions_pb.ts";
import { openListener } from "./transport.ts";

const run = promisify(execFile);
const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

describe("reflection", () => {
  test.each(["grpc", "grpcweb", "connect"])(
    "buf curl calls a service by %s knowing only the address",
    async (protocol) => {
      await using daemon = await serve();
      const data = JSON.stringify({ stream: { project: "p", session: "s" } });
      const url = `${daemon.url}/sluice.v1.IngestService/GetWatermark`;
      const { stdout } = await run(buf, [
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        protocol,
        "--data",
        data,
        url,
      ]);
      expect(JSON.parse(stdout)).toEqual({ durableSeq: "7", sealed: true });
    },
  );

  test.each(["grpc-v1", "grpc-v1alpha"])("buf curl lists services and methods over %s", async (version) => {
    await using daemon = await serve();
    const reflect = ["--http2-prior-knowledge", "--reflect-protocol", version];
    const services = await run(buf, ["curl", ...reflect, "--list-services", daemon.url]);
    expect(services.stdout.trim().split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "sluice.v1.IngestService",
      "sluice.v1.SessionsService",
    ]);
    const methods = await run(buf, ["curl", ...reflect, "--list-methods", daemon.url]);
    expect(methods.stdout).toContain("sluice.v1.IngestService/Upload");
  });

  test("a file comes with all it depends on, once a call", async () => {
    const answers = await ask(
      { case: "fileContainingSymbol", value: "sluice.v1.IngestService" },
      { case: "fileContainingSymbol", value: ".sluice.v1.SessionsService.ListSessions" },
      { case: "fileByFilename", value: "sluice/v1/event.proto" },
    );
    expect(answers.map((answer) => names(answer.files))).toEqual([
      ["sluice/v1/ingest.proto", "sluice/v1/event.proto"],
      ["sluice/v1/sessions.proto"],
      ["sluice/v1/event.proto"],
    ]);
    // A set is read in an order in which nothing comes before what it depends on.
    const files = answers.slice(0, 2).flatMap((answer) => answer.files.toReversed());
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files }));
    expect(registry.getMessage("sluice.v1.Event")?.fields.map(({ name }) => name)).toEqual(
      file_sluice_v1_event.messages[0]?.fields.map(({ name }) => name),
    );
  });

  test.each([
    ["a message", "sluice.v1.Event"],
    ["a field", "sluice.v1.Event.time_ms"],
    ["an enum", "sluice.v1.EventType"],
    ["an enum value, in the scope of its enum", "sluice.v1.EVENT_TYPE_CLICK"],
  ])("finds %s", async (_what, symbol) => {
    const [answer] = await ask({ case: "fileContainingSymbol", value: symbol });
    expect(names(answer?.files ?? [])).toEqual(["sluice/v1/event.proto"]);
  });

  test("what is not there is answered with NOT_FOUND, and the call goes on", async () => {
    const extension = { containingType: "sluice.v1.Event", extensionNumber: 100 };
    const answers = await ask(
      { case: "fileContainingSymbol", value: "sluice.v1.Nothing" },
      { case: "fileByFilename", value: "nothing.proto" },
      { case: "fileContainingExtension", value: { $typeName: "grpc.reflection.v1.ExtensionRequest", ...extension } },
      { case: "allExtensionNumbersOfType", value: "sluice.v1.Nothing" },
      { case: undefined },
      { case: "allExtensionNumbersOfType", value: "sluice.v1.Event" },
    );
    expect(answers.map(({ code }) => code)).toEqual([
      Code.NotFound,
      Code.NotFound,
      Code.NotFound,
      Code.NotFound,
      Code.InvalidArgument,
      undefined,
    ]);
  });
});

function serve() {
  return openListener({
    onRequest: connectNodeAdapter({
      routes: (router) => {
        router.service(IngestService, { getWatermark: () => ({ durableSeq: 7n, sealed: true }) });
        registerReflection(router, [IngestService.file, SessionsService.file]);
      },
    }),
  });
}

type Question = ServerReflectionRequest["messageRequest"];

async function ask(...questions: Question[]): Promise<{ files: FileDescriptorProto[]; code: number | undefined }[]> {
  await using daemon = await serve();
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: daemon.url }));
  const answers: { files: FileDescriptorProto[]; code: number | undefined }[] = [];
  async function* requests() {
    for (const messageRequest of questions) yield { messageRequest };
  }
  for await (const { messageResponse } of client.serverReflectionInfo(requests())) {
    const { case: kind, value } = messageResponse;
    const encoded = kind === "fileDescriptorResponse" ? value.fileDescriptorProto : [];
    answers.push({
      files: encoded.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)),
      code: kind === "errorResponse" ? value.errorCode : undefined,
    });
  }
  return answers;
}

function names(files: readonly FileDescriptorProto[]): string[] {
  return files.map(({ name }) => name);
}
