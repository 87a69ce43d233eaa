import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";

/** The shop, served on loopback. `port` 0 takes a free one. */
export async function serveSite(port: number): Promise<Site> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    answer(pathname).then(
      ({ status, type, body }) =>
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return { port: portOf(server), [Symbol.asyncDispose]: () => close(server) };
}

export interface Site extends AsyncDisposable {
  readonly port: number;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(pathname: string): Promise<Answer> {
  const [, asset, extension = ""] = /^\/assets\/([a-z-]+\.(css|js|svg))$/.exec(pathname) ?? [];
  if (asset !== undefined)
    return { status: 200, type: TYPES[extension] ?? "text/plain", body: await readPart(`assets/${asset}`) };
  const name = pathname === "/" ? "home" : /^\/([a-z]+)$/.exec(pathname)?.[1];
  if (name !== undefined && PAGES.has(name)) return { status: 200, type: HTML, body: await page(name) };
  return { status: 404, type: HTML, body: await page("missing") };
}

/** Pages share a header and a footer; everything else in them is written out. */
async function page(name: string): Promise<string> {
  const [layout, content] = await Promise.all([readPart("pages/layout.html"), readPart(`pages/${name}.html`)]);
  const title = /<title>(.*?)<\/title>/.exec(content)?.[1] ?? "Harbour & Pine";
  return layout
    .replace("{{title}}", () => title)
    .replace("{{content}}", () => content.replace(/<title>.*?<\/title>\s*/, ""));
}

async function readPart(path: string): Promise<string> {
  return await readFile(new URL(path, import.meta.url), "utf8");
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The site has no port.");
  return address.port;
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
}

const PAGES = new Set(["home", "results", "product", "compare", "cart", "checkout", "confirmation", "help", "returns"]);
const HTML = "text/html; charset=utf-8";
const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const site = await serveSite(Number(process.argv[2] ?? 8080));
  process.stdout.write(`http://127.0.0.1:${site.port}/\n`);
}
