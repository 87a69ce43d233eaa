import { existsSync } from "node:fs";

/** Plain JavaScript that an old Node reads too, so that it can say what it lacks. */
export async function start(name, part) {
  if (Number(process.versions.node.split(".")[0]) < 24) {
    process.stderr.write(`${name} needs Node 24 or later, this is ${process.version}.\n`);
    process.exitCode = 1;
    return;
  }
  // A clone has the sources, which Node runs as they are; a package has what was built from them.
  const source = new URL(`../src/${part}/main.ts`, import.meta.url);
  const built = new URL(`../dist/src/${part}/main.js`, import.meta.url);
  const { main } = await import(existsSync(source) ? source : built);
  await main(process.argv.slice(2));
}
