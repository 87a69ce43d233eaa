import { dirname, join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Box, BoxSchema, EventSchema, ScreenshotPhase } from "../../wire/gen/sluice/v1/event_pb.ts";
import type { SessionInfo } from "../store/store.ts";
import { allTold } from "./account.ts";
import { isOneALine, looksLikeTrajectory, parseTrajectory, type Step, type Trajectory } from "./agentnet-format.ts";
import { badCapture, fileReader, hashFile, listDirectory, readHead, readText, statIfThere } from "./file-access.ts";
import type { Importer, RecordedBlob, RecordedEvent, Recording } from "./importer.ts";
import { readLines } from "./lines.ts";
import { type Action, countActions, readActions, type Size } from "./pyautogui.ts";
import { sessionId } from "./session-id.ts";

/**
 * AgentNet and OpenCUA trajectories: a benchmark trajectory (.json, one a file) or the training
 * form (.jsonl, one a line), with the screenshots in images/ beside the file; or a directory of
 * such files.
 */
export class AgentNetImporter implements Importer {
  readonly name = "AgentNet trajectory";

  async sniff(path: string, signal: AbortSignal): Promise<boolean> {
    for (const file of await candidateFiles(path, signal)) {
      if (looksLikeTrajectory(await headText(file, signal))) return true;
    }
    return false;
  }

  async *open(path: string, signal: AbortSignal): AsyncIterable<Recording> {
    for (const file of await candidateFiles(path, signal)) {
      if (file.endsWith(".jsonl") || isOneALine(await headText(file, signal))) {
        for await (const line of readLines(file, MAX_TRAJECTORY_BYTES, signal)) {
          yield recordingOf(parseTrajectory(line.text(), { path: file, line: line.number }), file, line.number);
        }
      } else {
        yield recordingOf(parseTrajectory(await readText(file, MAX_TRAJECTORY_BYTES, signal), { path: file }), file);
      }
    }
  }
}

/** The file itself, or the JSON files of a directory. */
async function candidateFiles(path: string, signal: AbortSignal): Promise<readonly string[]> {
  const stats = await statIfThere(path, signal);
  if (stats?.isFile()) return [path];
  if (!stats?.isDirectory()) return [];
  const entries = await listDirectory(path, signal);
  return entries.filter((e) => e.isFile() && /\.jsonl?$/.test(e.name)).map((e) => join(path, e.name));
}

async function headText(file: string, signal: AbortSignal): Promise<string> {
  return (await readHead(file, SNIFF_BYTES, signal)).toString("utf8");
}

function recordingOf(trajectory: Trajectory, path: string, line?: number): Recording {
  const source = new Source(path, line);
  return {
    session: sessionId(trajectory.taskId),
    stream: "main",
    info: infoOf(trajectory),
    eventCount: trajectory.steps.reduce((sum, step) => sum + countActions(step.code), 0),
    absent: ["times", "pages", "elements", "typing field by field"],
    account: async () => allTold(trajectory.steps.length),
    where: (seq) => source.where(stepAt(trajectory.steps, seq)),
    events: (fromSeq, signal) => readEvents(trajectory, source, fromSeq, signal),
    blobs: (signal) => readBlobs(trajectory, source, signal),
  };
}

/** The step an event is of. */
function stepAt(steps: readonly Step[], seq: bigint): Step | undefined {
  let last = 0n;
  return steps.find(({ code }) => {
    last += BigInt(countActions(code));
    return last >= seq;
  });
}

async function* readEvents(
  trajectory: Trajectory,
  source: Source,
  fromSeq: bigint,
  signal: AbortSignal,
): AsyncIterable<RecordedEvent> {
  let seq = 0n;
  for (const step of trajectory.steps) {
    const count = countActions(step.code);
    if (seq + BigInt(count) < fromSeq) {
      seq += BigInt(count);
      continue;
    }
    const shot = await source.screenshot(step, signal);
    const actions = readActions(step.code, shot);
    for (const [index, action] of actions.entries()) {
      seq += 1n;
      if (seq < fromSeq) continue;
      yield { seq, event: encode(step, action, index, seq, shot), blobs: index === 0 ? [shot.id] : [] };
    }
  }
}

/** The step's screenshot and its JSON go with its first event: that is what they were before. */
function encode(step: Step, action: Action, index: number, seq: bigint, shot: Shot): Uint8Array {
  const { aim, ...fields } = action;
  const box = aim && targetBox(step, aim.x, aim.y);
  const { id: blobId, width, height } = shot;
  const screenshots = [{ blobId, phase: ScreenshotPhase.BEFORE, width, height }];
  const event = create(EventSchema, {
    id: `${step.index}.${index}`,
    // The format has no times. They only tell the order, and the session's labels say so.
    timeMs: seq,
    ...fields,
    ...(box && { target: { box } }),
    ...(index === 0 && { screenshots, rawJson: step.json }),
  });
  return toBinary(EventSchema, event);
}

/** The box that the benchmark gives for an action at that place, if it gives one and only one. */
function targetBox(step: Step, x: number, y: number): Box | undefined {
  const boxes = step.targets.filter((target) => target.x === x && target.y === y);
  const [only] = boxes;
  return boxes.length === 1 && only !== undefined ? create(BoxSchema, only.box) : undefined;
}

async function* readBlobs(trajectory: Trajectory, source: Source, signal: AbortSignal): AsyncIterable<RecordedBlob> {
  const told = new Set<string>();
  for (const step of trajectory.steps) {
    const { id, size, path } = await source.screenshot(step, signal);
    if (told.has(id)) continue;
    told.add(id);
    yield { id, size, mediaType: "image/png", path, read: fileReader(path) };
  }
}

interface Shot extends Size {
  readonly id: string;
  readonly size: number;
  readonly path: string;
}

/** The file a trajectory came from, with the images beside it. */
class Source {
  readonly #path: string;
  readonly #line: number | undefined;

  constructor(path: string, line: number | undefined) {
    this.#path = path;
    this.#line = line;
  }

  async screenshot(step: Step, signal: AbortSignal): Promise<Shot> {
    // One plain name: a recording must not make us read, and send, any other file.
    if (!/^[\w][\w.-]*$/.test(step.image)) throw this.#bad(step, "it is not a plain file name");
    const path = join(dirname(this.#path), "images", step.image);
    if ((await statIfThere(path, signal)) === undefined) {
      throw this.#bad(step, `there is no ${path}`, "put the trajectory's screenshots in images/ beside it");
    }
    const size = pngSize(await readHead(path, PNG_HEAD_BYTES, signal));
    if (size === undefined) throw badCapture({ path, problem: "it is not a PNG", fix: "restore the screenshot" });
    return { ...size, ...(await hashFile(path, signal)), path };
  }

  where(step: Step | undefined): string {
    const file = this.#line === undefined ? this.#path : `${this.#path}:${this.#line}`;
    return step === undefined ? file : `${file}: ${step.field}`;
  }

  #bad(step: Step, problem: string, fix = "name a file in images/") {
    const line = this.#line === undefined ? {} : { line: this.#line };
    return badCapture({ path: this.#path, ...line, field: `${step.field}.image`, problem, fix });
  }
}

/** Width and height from the IHDR chunk, which is always first. */
function pngSize(head: Buffer): Size | undefined {
  if (head.length < PNG_HEAD_BYTES || head.toString("latin1", 0, 8) !== "\x89PNG\r\n\x1a\n") return undefined;
  return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
}

function infoOf(trajectory: Trajectory): SessionInfo {
  return {
    task: trajectory.task,
    collector: "AgentNet",
    startUrl: "",
    userAgent: "",
    labels: [
      { name: "format", value: trajectory.format },
      { name: "times", value: "order-only" },
      { name: "scroll_unit", value: "wheel" },
    ],
    rawJson: trajectory.json,
  };
}

/** A trajectory is held in memory whole; the largest published ones are about 1 MB. */
const MAX_TRAJECTORY_BYTES = 64 * 1024 * 1024;
const SNIFF_BYTES = 64 * 1024;
const PNG_HEAD_BYTES = 24;
