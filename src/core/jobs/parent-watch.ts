import { Socket } from "node:net";

// A thread of a stage host. The worker holds the other end of stdin and writes nothing to it: when
// that end is gone so is the worker, and the host is ended whatever its stage is doing. A stage that
// never returns to its event loop would otherwise outlive a killed worker.
new Socket({ fd: 0 }).resume().on("close", () => process.kill(process.pid, "SIGKILL"));
