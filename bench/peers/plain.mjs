// What keeps no queue, and shows what the work itself costs on this machine: programs that everybody has.

import { join } from "node:path";
import { ask, run } from "./processes.mjs";

const versionOf = (program) => ask([program, "--version"]).split("\n")[0];

async function seconds(line) {
  const began = performance.now();
  await run(["sh", "-c", line]);
  return (performance.now() - began) / 1e3;
}

export const plain = [
  {
    name: "xargs -P2",
    queue: false,
    durable: false,
    missing: null,
    version: versionOf("xargs"),
    settings: "no queue: keeps nothing",
    async bench(count, dir, { command }) {
      // Each line is one more argument, which neither program looks at.
      const words = command.map((word) => `'${word}'`).join(" ");
      return { per_s: count / (await seconds(`seq ${count} | xargs -P2 -n1 ${words}`)) };
    },
  },
  {
    name: "a file",
    queue: false,
    durable: true,
    missing: null,
    version: versionOf("dd"),
    settings: "no queue: a pipe into dd, 1 MiB at a time, synced once at its end",
    async bench(bytes, dir) {
      const line = `head -c ${bytes} /dev/zero | dd of='${join(dir, "output")}' bs=1M iflag=fullblock conv=fsync`;
      return { mib_per_s: bytes / 1024 ** 2 / (await seconds(line)) };
    },
  },
];
