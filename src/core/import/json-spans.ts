/**
 * The text of each element of the list at the top-level `key` of a JSON object, exactly as it was
 * written. For text that JSON.parse accepts; of a key given twice, the last counts, as there.
 */
export function elementTexts(json: string, key: string): readonly string[] {
  let found: readonly string[] = [];
  let at = json.indexOf("{") + 1;
  for (at = skipBlanks(json, at); json[at] === '"'; at = skipBlanks(json, at)) {
    const keyEnd = endOfValue(json, at);
    const name: unknown = JSON.parse(json.slice(at, keyEnd));
    const start = skipBlanks(json, json.indexOf(":", keyEnd) + 1);
    const end = endOfValue(json, start);
    if (name === key && json[start] === "[") found = elements(json.slice(start, end));
    at = skipBlanks(json, end);
    if (json[at] === ",") at += 1;
  }
  return found;
}

function elements(list: string): readonly string[] {
  const texts: string[] = [];
  for (let at = skipBlanks(list, 1); list[at] !== "]"; ) {
    const end = endOfValue(list, at);
    texts.push(list.slice(at, end));
    at = skipBlanks(list, end);
    if (list[at] === ",") at = skipBlanks(list, at + 1);
  }
  return texts;
}

/** Just past the value that begins at `start`. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const character = json[at];
    if (character === '"') at = endOfString(json, at);
    else if (character === "{" || character === "[") {
      depth += 1;
      at += 1;
    } else if (character === "}" || character === "]") {
      depth -= 1;
      at += 1;
    } else if (depth === 0) {
      // A number or a word: it runs to the next mark.
      while (at < json.length && !/[,\]}\s]/.test(json.charAt(at))) at += 1;
    } else at += 1;
  } while (depth > 0 && at < json.length);
  return at;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at + 1;
}

function skipBlanks(json: string, start: number): number {
  let at = start;
  while (at < json.length && /\s/.test(json.charAt(at))) at += 1;
  return at;
}
