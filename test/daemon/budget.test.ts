import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Account, Budget } from "../../src/daemon/budget.ts";
import { never } from "../fixtures.ts";

describe("the memory budget", () => {
  test("is never overdrawn and comes back whole, whoever waits, leaves or takes more than there is", async () => {
    const take = fc.record({ bytes: fc.integer({ min: 0, max: 150 }), leaves: fc.boolean() });
    const property = fc.asyncProperty(fc.array(take, { maxLength: 30 }), async (takes) => {
      const budget = new Budget(100);
      const work = takes.map(async ({ bytes, leaves }) => {
        const leaving = new AbortController();
        const granted = budget.acquire(bytes, leaving.signal);
        if (leaves) leaving.abort();
        const got = await granted.catch(() => undefined);
        expect(budget.usedBytes).toBeLessThanOrEqual(100);
        if (got === undefined) return;
        await Promise.resolve();
        budget.release(got);
      });
      await Promise.all(work);
      expect(budget.usedBytes).toBe(0);
    });
    await fc.assert(property, { numRuns: 500 });
  });

  test("serves those who wait in the order they came", async () => {
    const budget = new Budget(10);
    await budget.acquire(10, never);
    const order: number[] = [];
    const waiting = [10, 1, 9].map(async (bytes, index) => {
      const granted = await budget.acquire(bytes, never);
      order.push(index);
      budget.release(granted);
    });
    budget.release(10);
    await Promise.all(waiting);
    expect(order).toEqual([0, 1, 2]);
  });

  test("gets back what a call held, whatever it was doing when it ended", async () => {
    const memory = { arriving: new Budget(1_000), working: new Budget(1_000) };
    const open = () => new Account(memory, 1_000, () => undefined);
    {
      using arriving = open();
      await arriving.arrive(10, never);
      using whole = open();
      await whole.arrive(10, never);
      await whole.admit(10, never);
      expect(memory.arriving.usedBytes + memory.working.usedBytes).toBeGreaterThan(0);
    }
    expect([memory.arriving.usedBytes, memory.working.usedBytes]).toEqual([0, 0]);
    const late = open();
    late[Symbol.dispose]();
    await late.arrive(10, never);
    await late.admit(10, never);
    expect([memory.arriving.usedBytes, memory.working.usedBytes]).toEqual([0, 0]);
  });

  test("keeps what a store still works on until it is settled, also when the call has ended", async () => {
    const memory = { arriving: new Budget(1_000), working: new Budget(1_000) };
    const account = new Account(memory, 1_000, () => undefined);
    await account.arrive(10, never);
    await account.admit(10, never);
    const claimed = account.claim();
    account[Symbol.dispose]();
    expect(memory.working.usedBytes).toBe(claimed);
    account.settle(claimed);
    expect(memory.working.usedBytes).toBe(0);
  });
});
