import { describe, expect, test } from "vitest";
import { countActions, readActions } from "../../../src/core/import/pyautogui.ts";
import { EventType } from "../../../src/wire/gen/sluice/v1/event_pb.ts";

const screen = { width: 1000, height: 500 };
const read = (code: string) => readActions(code, screen).map(({ aim: _, ...fields }) => fields);
const noModifiers = { alt: false, ctrl: false, meta: false, shift: false };

describe("pyautogui code becomes events", () => {
  test.each([
    ["pyautogui.click(x=0.25, y=0.5)", { x: 250, y: 250, button: 0, clicks: 1 }],
    ["pyautogui.click(0.25, 0.5, 2)", { x: 250, y: 250, button: 0, clicks: 2 }],
    ["pyautogui.click(640, 360, button='right')", { x: 640, y: 360, button: 2, clicks: 1 }],
    ["pyautogui.doubleClick(x=0.1, y=0.2)", { x: 100, y: 100, button: 0, clicks: 2 }],
    ["computer.triple_click(x=0.1, y=0.2)", { x: 100, y: 100, button: 0, clicks: 3 }],
    ["computer.tripleClick(x=0.1, y=0.2)", { x: 100, y: 100, button: 0, clicks: 3 }],
    ["pyautogui.rightClick(x=0.1, y=0.2)", { x: 100, y: 100, button: 2, clicks: 1 }],
    ["pyautogui.middleClick(x=0.1, y=0.2)", { x: 100, y: 100, button: 1, clicks: 1 }],
    ["pyautogui.click(x=0, y=0)", { x: 0, y: 0, button: 0, clicks: 1 }],
    ["pyautogui.click(x=1, y=1)", { x: 1000, y: 500, button: 0, clicks: 1 }],
  ])("%s is a click", (code, pointer) => {
    expect(read(code)).toEqual([{ type: EventType.CLICK, pointer }]);
  });

  test("a click without a place is one where the pointer was moved, or nowhere", () => {
    expect(read("pyautogui.moveTo(0.5, 0.5)\npyautogui.click()")).toEqual([
      { type: EventType.HOVER, pointer: { x: 500, y: 250 } },
      { type: EventType.CLICK, pointer: { x: 500, y: 250, button: 0, clicks: 1 } },
    ]);
    expect(read("pyautogui.click()")).toEqual([{ type: EventType.CLICK }]);
  });

  test("a drag begins where the pointer was; without a beginning it is custom", () => {
    expect(read("pyautogui.moveTo(x=0.4, y=0.2)\npyautogui.dragTo(x=0.5, y=0.3, button='left')")[1]).toEqual({
      type: EventType.DRAG,
      pointer: { x: 400, y: 100, button: 0, toX: 500, toY: 150 },
    });
    expect(read("pyautogui.dragTo(x=0.5, y=0.3)")).toEqual([{ type: EventType.CUSTOM, customType: "dragTo" }]);
  });

  test("scrolling is right and down when it is positive, in units of the recording", () => {
    expect(read("pyautogui.moveTo(0.5, 0.5); pyautogui.scroll(-3)")[1]).toEqual({
      type: EventType.SCROLL,
      pointer: { x: 500, y: 250, deltaY: 3 },
    });
    expect(read("pyautogui.hscroll(2)")).toEqual([{ type: EventType.SCROLL, pointer: { deltaX: 2 } }]);
    expect(read("pyautogui.scroll(5, x=0.5, y=0.5)")).toEqual([
      { type: EventType.SCROLL, pointer: { x: 500, y: 250, deltaY: -5 } },
    ]);
  });

  test("typing is an input; keys and hotkeys are keys, named as in the DOM", () => {
    expect(read("pyautogui.write(message='Ünï 😀')")).toEqual([{ type: EventType.INPUT, input: { value: "Ünï 😀" } }]);
    expect(read("pyautogui.press(keys=['enter', 'a'])")).toEqual([
      { type: EventType.KEY, key: { key: "Enter", ...noModifiers } },
      { type: EventType.KEY, key: { key: "a", ...noModifiers } },
    ]);
    expect(read("pyautogui.press('down', presses=3)").length).toBe(3);
    expect(read("pyautogui.hotkey('ctrl', 'shift', 'esc')")).toEqual([
      { type: EventType.KEY, key: { key: "Escape", ...noModifiers, ctrl: true, shift: true } },
    ]);
    expect(read("pyautogui.hotkey(['command', 'v'])")).toEqual([
      { type: EventType.KEY, key: { key: "v", ...noModifiers, meta: true } },
    ]);
    expect(read("pyautogui.hotkey('win')")).toEqual([{ type: EventType.KEY, key: { key: "Meta", ...noModifiers } }]);
  });

  test.each([
    ["computer.terminate(status='success')", "terminate"],
    ["computer.wait()", "wait"],
    ["pyautogui.keyDown('shift')", "keyDown"],
    ["pyautogui.hotkey('k', 'c')", "hotkey"],
    ["pyautogui.press('a', presses=100000)", "press"],
    ["pyautogui.press(3)", "press"],
    ["pyautogui.write(3)", "write"],
    ["pyautogui.click(x=0.1, y=0.1, button='thumb')", "click"],
    ["for i in range(3): pyautogui.click()", "code"],
    ["", "code"],
  ])("%s, which has no type of its own, is custom", (code, customType) => {
    expect(read(code)).toEqual([{ type: EventType.CUSTOM, customType }]);
    expect(countActions(code)).toBe(1);
  });
});
