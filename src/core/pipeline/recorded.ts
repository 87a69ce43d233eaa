import type { SessionInfo, StreamEnd } from "../store/store.ts";

/** A sealed session as it was recorded: what the first stage reads. */
export interface Recorded {
  readonly session: string;
  readonly info: SessionInfo | undefined;
  readonly streams: readonly StreamEnd[];
  readonly missingBlobs: readonly string[];
  /** Events as sent, in (stream, seq) order. Quarantined ones are not among them. */
  readonly events: readonly RecordedBytes[];
  readonly quarantined: number;
}

export interface RecordedBytes {
  readonly stream: string;
  readonly seq: number;
  /** Encoded sluice.v1.Event. */
  readonly event: Uint8Array;
}

/** An event's place in its session. */
export interface EventRef {
  readonly stream: string;
  readonly seq: number;
}

export const EVENT_TYPES = [
  "click",
  "input",
  "scroll",
  "navigation",
  "hover",
  "focus",
  "blur",
  "submit",
  "key",
  "drag",
  "drop",
  "touch",
  "custom",
] as const;

export type EventTypeName = (typeof EVENT_TYPES)[number];

/**
 * An event as the stages after the first see it: decoded, mended, in the session's order. What the
 * collector did not give is absent. The collector's raw JSON is not here: it is read by `validate`
 * alone, so that nothing of it can pass redaction unseen.
 */
export interface SessionEvent {
  readonly ref: EventRef;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  readonly type: EventTypeName;
  readonly customType?: string;
  readonly page?: Page;
  readonly target?: Target;
  readonly input?: Input;
  readonly pointer?: Pointer;
  readonly key?: Key;
  readonly before?: ElementState;
  readonly after?: ElementState;
  readonly screenshots: readonly Screenshot[];
  /** Other elements that held text or a value at that moment. */
  readonly elements?: readonly PageElement[];
}

export interface Page {
  readonly url: string;
  readonly title: string;
  /** CSS pixels; absent when unknown. */
  readonly viewport?: Size;
  /** Physical pixels per CSS pixel; absent when unknown. */
  readonly devicePixelRatio?: number;
  readonly scroll: Point;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** CSS pixels, relative to the viewport. */
export interface Box extends Point, Size {}

export interface Target {
  readonly selectors: readonly Selector[];
  readonly role?: string;
  readonly name?: string;
  readonly text?: string;
  readonly tag?: string;
  readonly attributes: readonly Attribute[];
  readonly box?: Box;
  readonly ancestors: readonly Ancestor[];
}

export type SelectorKind = "css" | "xpath" | "test_id" | "role" | "text" | "aria" | "id" | "unknown";

export interface Selector {
  readonly kind: SelectorKind;
  readonly value: string;
  readonly reliability: number;
  /** What it found in the page as it was; absent where nobody looked. */
  readonly grounding?: Grounding;
}

export interface Grounding {
  /** How many elements it found. */
  readonly matches: number;
  /** Whether the target is among them. */
  readonly findsTarget: boolean;
  /** Whether the target's box held the pointer; absent where either is not known. */
  readonly boxHoldsPointer?: boolean;
}

export interface Attribute {
  readonly name: string;
  readonly value: string;
}

export interface Ancestor {
  readonly tag: string;
  readonly role?: string;
  readonly name?: string;
  readonly attributes: readonly Attribute[];
}

export interface PageElement {
  readonly tag?: string;
  readonly role?: string;
  readonly name?: string;
  readonly text?: string;
  readonly value?: string;
  readonly attributes: readonly Attribute[];
  readonly box?: Box;
}

export interface Input {
  readonly value: string;
  readonly masked: boolean;
  /** The field's type: text, password, email, checkbox, select and so on; "" when unknown. */
  readonly kind: string;
}

export interface Pointer extends Point {
  /** 0 main, 1 middle, 2 secondary. */
  readonly button: number;
  readonly clicks: number;
  /** CSS pixels scrolled. */
  readonly delta?: Point;
  /** Where a drag ended. */
  readonly to?: Point;
}

export interface Key {
  readonly key: string;
  readonly code: string;
  readonly alt: boolean;
  readonly ctrl: boolean;
  readonly meta: boolean;
  readonly shift: boolean;
}

export interface ElementState {
  readonly url?: string;
  readonly value?: string;
  readonly text?: string;
  readonly checked: boolean;
  readonly focused: boolean;
  readonly disabled: boolean;
  readonly visible: boolean;
  readonly expanded: boolean;
  readonly selected: boolean;
}

export interface Screenshot {
  /** sha256 of the bytes: a recorded blob's before `redact`, a derived one's after it. */
  readonly blob: string;
  readonly phase: "before" | "after" | "unknown";
  /** Physical pixels, as the collector said; absent when it did not. */
  readonly size?: Size;
}

/** What the session says of itself, in the parts that reach training data. */
export interface SessionFacts {
  readonly id: string;
  readonly task: string;
  readonly startUrl: string;
  readonly userAgent: string;
  readonly collector: string;
  readonly labels: readonly Attribute[];
}

export interface ValidateOutput {
  readonly session: SessionFacts;
  /** In the session's order: (time, stream, seq) with times mended. */
  readonly events: readonly SessionEvent[];
  /** What was wrong, mended or not. */
  readonly findings: readonly Finding[];
  /** Events left out, each with the code of why; the rest are in `events`. */
  readonly dropped: readonly { readonly ref: EventRef; readonly code: string }[];
  readonly quarantined: number;
  readonly missingBlobs: readonly string[];
}

export interface Finding {
  /** A stable word, such as TIME_IN_SECONDS. */
  readonly code: string;
  /** undefined when it is about the session as a whole. */
  readonly ref?: EventRef;
  /** What was done: "mended", "kept" as it is, or "dropped". */
  readonly action: "mended" | "kept" | "dropped";
  /** Where in the event, such as page.url. Never a recorded value. */
  readonly path?: string;
}

const REDACTION_KINDS = [
  "email",
  "phone",
  "card",
  "iban",
  "ip",
  "national_id",
  "secret",
  "address",
  "person",
  "date_of_birth",
  "custom",
] as const;

export type RedactionKind = (typeof REDACTION_KINDS)[number];

/** The same session with personal values replaced by placeholders and screenshots by painted ones. */
export interface RedactOutput {
  readonly session: SessionFacts;
  readonly events: readonly SessionEvent[];
  readonly report: RedactionReport;
}

/** What was found, by kind and place; never a value. */
export interface RedactionReport {
  /** Distinct values by kind. */
  readonly values: Readonly<Partial<Record<RedactionKind, number>>>;
  /** Replacements by place, such as target.text, and kind. */
  readonly places: readonly { readonly place: string; readonly kind: RedactionKind; readonly count: number }[];
  readonly screenshots: {
    readonly painted: number;
    /** Left as they are: nothing on them to paint. */
    readonly clean: number;
    /** Kept out of the output, with why, such as NOT_AN_IMAGE. */
    readonly withheld: readonly { readonly ref: EventRef; readonly code: string }[];
    /** Boxes painted over. */
    readonly boxes: number;
  };
}
