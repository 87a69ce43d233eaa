import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventsOf, frameOf, pack, unpack } from "../../../src/core/session/segment.ts";
import { events } from "../../fixtures.ts";

const EVENTS = fc.array(fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined, freq: 5 }), { maxLength: 40 });

describe("segments", () => {
  it("give back what was packed, empty events and holes too", () => {
    const property = fc.property(EVENTS, (batch) => {
      const frame = frameOf(batch);
      const { encoding, payload } = pack(frame);
      expect(eventsOf(unpack(encoding, payload, frame.length)).map(bufferOf)).toEqual(batch.map(bufferOf));
    });
    fc.assert(property, { numRuns: 500 });
  });

  it("shrink real events and keep noise as it is", () => {
    const real = frameOf(events(1, 50));
    expect(pack(real).encoding).toBe(1);
    expect(pack(real).payload.length).toBeLessThan(real.length / 2);
    const noise = frameOf([randomBytes(4_000)]);
    expect(pack(noise)).toEqual({ encoding: 0, payload: noise });
  });

  it("never give wrong events when a bit of the compressed bytes has turned", () => {
    const frame = frameOf(events(1, 20));
    const { encoding, payload } = pack(frame);
    expect(encoding).toBe(1);
    for (let bit = 0; bit < payload.length * 8; bit++) {
      const damaged = Uint8Array.from(payload);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(unpackOrReason(encoding, damaged, frame.length)).toSatisfy(
        (got: unknown) => got === "SEGMENT_CORRUPT" || (got instanceof Uint8Array && Buffer.compare(got, frame) === 0),
      );
    }
  });

  it("refuse bytes cut short or of another length than recorded, and an empty payload", () => {
    const frame = frameOf(events(1, 20));
    const { encoding, payload } = pack(frame);
    for (let length = 0; length < payload.length; length++) {
      expect(unpackOrReason(encoding, payload.subarray(0, length), frame.length)).toBe("SEGMENT_CORRUPT");
    }
    expect(unpackOrReason(1, payload, frame.length - 1)).toBe("SEGMENT_CORRUPT");
    expect(unpackOrReason(1, payload, frame.length + 1)).toBe("SEGMENT_CORRUPT");
    expect(unpackOrReason(0, frame.subarray(1), frame.length)).toBe("SEGMENT_CORRUPT");
  });

  it("do not let a frame name bytes it does not have", () => {
    const frame = frameOf(events(1, 3));
    expect(() => eventsOf(frame.slice(0, -1))).toThrow(RangeError);
    expect(() => eventsOf(Buffer.concat([frame, Buffer.of(0)]))).toThrow(RangeError);
    const many = frame.slice();
    new DataView(many.buffer).setUint32(0, 0xffff_fff0, true);
    expect(() => eventsOf(many)).toThrow(RangeError);
  });
});

function unpackOrReason(encoding: number, payload: Uint8Array, rawBytes: number): unknown {
  try {
    return unpack(encoding, payload, rawBytes);
  } catch (error) {
    return error instanceof Error && "reason" in error ? error.reason : error;
  }
}

function bufferOf(event: Uint8Array | undefined): Buffer | undefined {
  return event === undefined ? undefined : Buffer.from(event);
}
