/** One system call out of a trace by `strace -f -y`. */
export interface Syscall {
  readonly name: string;
  /** What stands between the brackets, and the result. */
  readonly text: string;
  /** Lines of the trace where it began and ended. */
  readonly began: number;
  readonly ended: number;
}

/** The calls of a trace in the order they began; those cut in two by another thread are joined. */
export function parseSyscalls(trace: string): Syscall[] {
  const calls: Syscall[] = [];
  const open = new Map<string, { name: string; text: string; began: number }>();
  for (const [line, content] of trace.split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+)\s+(.*)$/.exec(content) ?? [];
    const whole = /^(\w+)\((.*)$/.exec(rest);
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    if (whole !== null) {
      const [, name = "", text = ""] = whole;
      if (text.endsWith("<unfinished ...>")) open.set(thread, { name, text, began: line });
      else calls.push({ name, text, began: line, ended: line });
    } else if (resumed !== null) {
      const begun = open.get(thread);
      open.delete(thread);
      if (begun !== undefined) calls.push({ ...begun, text: begun.text + (resumed[2] ?? ""), ended: line });
    }
  }
  return calls.toSorted((a, b) => a.began - b.began);
}
