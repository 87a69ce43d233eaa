import { create, type DescField, type DescMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import fc from "fast-check";
import { type Event, EventSchema, EventType, ScreenshotSchema } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

/** Any message of a schema: each field absent, at an edge, or ordinary. */
function anyMessage(desc: DescMessage): fc.Arbitrary<ReflectMessage> {
  const fields = fc.tuple(...desc.fields.map((field) => fc.option(setterOf(field), { nil: undefined, freq: 2 })));
  return fields.map((setters) => {
    const message = reflect(desc);
    for (const set of setters) set?.(message);
    return message;
  });
}

/** An event with a chance of being valid: what every event needs is mostly there. */
export const anyEvent: fc.Arbitrary<Event> = fc
  .record({
    any: anyMessage(EventSchema),
    timeMs: fc.oneof(
      { weight: 30, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 42n }) },
      { weight: 1, arbitrary: fc.constantFrom(0n, -1n, 253_402_300_799_999n, 253_402_300_800_000n, 2n ** 63n - 1n) },
    ),
    type: fc.oneof(
      { weight: 30, arbitrary: fc.constantFrom(EventType.CLICK, EventType.TOUCH, EventType.CUSTOM) },
      { weight: 1, arbitrary: fc.constantFrom(EventType.UNSPECIFIED, EventType.DROP) },
    ),
    named: fc.oneof({ weight: 30, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    seq: fc.oneof({ weight: 30, arbitrary: fc.constantFrom(0n, 7n) }, { weight: 1, arbitrary: fc.constant(8n) }),
    blobIds: fc.array(
      fc.oneof(
        { weight: 60, arbitrary: fc.constantFrom("0", "a", "f").map((digit) => digit.repeat(64)) },
        { weight: 1, arbitrary: fc.constantFrom("", "A".repeat(64), "a".repeat(63), `${"a".repeat(64)}\n`) },
      ),
      { maxLength: 3 },
    ),
    rawJson: fc.oneof(
      fc.json(),
      fc.integer({ min: 0, max: 10 }).map((depth) => "[".repeat(depth) + "]".repeat(depth)),
    ),
  })
  .map(({ any, timeMs, type, named, seq, blobIds, rawJson }) => {
    const message = fromBinary(EventSchema, toBinary(any.desc, any.message));
    message.timeMs = timeMs;
    message.type = type;
    message.customType = (type === EventType.CUSTOM) === named ? "own" : "";
    message.seq = seq;
    message.screenshots = blobIds.map((blobId) => create(ScreenshotSchema, { blobId, width: 1 }));
    message.rawJson = rawJson;
    return message;
  });

function setterOf(field: DescField): fc.Arbitrary<(message: ReflectMessage) => void> {
  if (field.fieldKind !== "list") return anyValue(field).map((value) => (message) => message.set(field, value));
  return fc.array(anyValue(field), { maxLength: 3 }).map((values) => (message) => {
    for (const value of values) message.get(field).add(value);
  });
}

function anyValue(field: DescField): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return anyMessage(field.message);
  if (field.enum !== undefined) return fc.integer({ min: 0, max: field.enum.values.length });
  switch (field.scalar) {
    case ScalarType.STRING:
      // Long enough for both ways of checking UTF-8, and with characters of one to four bytes.
      return fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 100 }));
    case ScalarType.DOUBLE:
      return fc.oneof(
        { weight: 300, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
        { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY) },
      );
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case ScalarType.UINT32:
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    default:
      throw new Error(`${field.name} has a type that no event had when this was written`);
  }
}
