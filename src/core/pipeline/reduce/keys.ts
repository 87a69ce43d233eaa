import type { Key, Target } from "../recorded.ts";

const MODIFIERS = new Set(["Alt", "AltGraph", "Control", "Meta", "OS", "Shift", "CapsLock", "Fn", "NumLock"]);

export function isModifier(key: string): boolean {
  return MODIFIERS.has(key);
}

/** What a key puts into a field; undefined for one that does something else. */
export function textOf(key: Key): string | undefined {
  if ([...key.key].length !== 1) return undefined;
  // AltGr and Option are told as alt, with ctrl or without; what they compose is no letter of a shortcut.
  const isComposed = key.alt && !/^[a-z0-9]$/i.test(key.key);
  if (key.meta || ((key.ctrl || key.alt) && !isComposed)) return undefined;
  return key.key;
}

/** Something that nobody may read, or could: what redact and some browsers say instead of a character. */
export function isHiddenText(key: Key): boolean {
  return key.key === "Unidentified";
}

export function isHotkey(key: Key): boolean {
  if (textOf(key) !== undefined || isHiddenText(key)) return false;
  return key.ctrl || key.alt || key.meta || key.shift;
}

/** ctrl+alt+shift+meta+key, those that are held; the key as KeyboardEvent.key names it, letters small. */
export function nameKeys(key: Key): string {
  const name = key.key === " " ? "Space" : key.key;
  if (!isHotkey(key)) return name;
  const held = [key.ctrl && "ctrl", key.alt && "alt", key.shift && "shift", key.meta && "meta"];
  return [...held.filter((modifier) => modifier !== false), name.length === 1 ? name.toLowerCase() : name].join("+");
}

/** Keys that change, or walk about in, what a field holds: its value then tells of them. */
const EDITING = /^((ctrl|alt|shift|meta)\+)*(Backspace|Delete|Arrow(Left|Right)|Home|End)$/;
const PASTING = /^(ctrl|meta)\+[vxyz]$|^(ctrl\+shift|shift\+meta)\+[vz]$|^shift\+Insert$/;
const EDITING_LINES = /^(shift\+)?Enter$|^((ctrl|alt|shift|meta)\+)*Arrow(Up|Down)$/;

/** Whether the value that a field has right after is what the keys were pressed for. */
export function isEditing(keys: string, isMultiline: boolean): boolean {
  return EDITING.test(keys) || PASTING.test(keys) || (isMultiline && EDITING_LINES.test(keys));
}

const TEXT_FIELDS = new Set(["textbox", "searchbox", "combobox", "spinbutton"]);
const NOT_TYPED_INTO = new Set([
  "checkbox",
  "radio",
  "button",
  "submit",
  "reset",
  "image",
  "range",
  "color",
  "file",
  "hidden",
]);

/** Whether text can be typed into the element; undefined when too little is known of it. */
export function isTextField(target: Target | undefined): boolean | undefined {
  if (target === undefined) return undefined;
  const { tag, role, attributes } = target;
  if (isMultilineField(target)) return true;
  if (tag === "select") return false;
  if (role !== undefined && TEXT_FIELDS.has(role)) return true;
  if (tag === "input") return role === undefined && !NOT_TYPED_INTO.has(attributeOf(target, "type") ?? "text");
  return tag === undefined && role === undefined && attributes.length === 0 ? undefined : false;
}

export function isMultilineField(target: Target | undefined): boolean {
  if (target === undefined) return false;
  const editable = attributeOf(target, "contenteditable");
  return target.tag === "textarea" || (editable !== undefined && editable !== "false");
}

export function isSecretField(target: Target | undefined): boolean {
  return attributeOf(target, "type") === "password";
}

export function attributeOf(target: Target | undefined, name: string): string | undefined {
  return target?.attributes.find((attribute) => attribute.name === name)?.value;
}
