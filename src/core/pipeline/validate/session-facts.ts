import type { Recorded, SessionFacts } from "../recorded.ts";
import type { Report } from "./findings.ts";
import { dropControls, isUnparsed, mendSurrogates } from "./mend-texts.ts";

/** What the session says of itself, its texts mended as those of events are. */
export function sessionFacts({ session, info }: Recorded, report: Report): SessionFacts {
  const text = (given: string | undefined, path: string): string => {
    const paired = mendSurrogates(given ?? "");
    if (paired !== (given ?? "")) report("TEXT_LONE_SURROGATE", path);
    const mended = dropControls(paired);
    if (mended !== paired) report("TEXT_CONTROL_CHARACTERS", path);
    return mended;
  };
  const facts = {
    id: session,
    task: text(info?.task, "session.task"),
    startUrl: text(info?.startUrl, "session.start_url"),
    userAgent: text(info?.userAgent, "session.user_agent"),
    collector: text(info?.collector, "session.collector"),
    labels: (info?.labels ?? []).map(({ name, value }) => ({
      name: text(name, "session.labels"),
      value: text(value, "session.labels"),
    })),
  };
  if (isUnparsed(facts.startUrl)) report("URL_UNPARSED", "session.start_url");
  return facts;
}
