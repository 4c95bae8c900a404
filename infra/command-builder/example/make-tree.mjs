#!/usr/bin/env node
// An example of a program for the builder `command`: a tar of a small tree, the same bytes for the same job.
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { json } from "node:stream/consumers"

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)
const fail = (kind, message) => {
  say({ failure: { class: kind, message } })
  process.exit(1)
}

const job = await json(process.stdin)
if (job.version !== 1) fail("platform", `this program knows jobs of version 1, not ${job.version}`)
const { greeting = "hello", megabytes = 0 } = job.parameters
const { hostname = "example", users = [] } = job.customizations

say({ stage: "tree", percent: 0 })
const files = {
  "etc/hostname": `${hostname}\n`,
  "etc/motd": `${greeting}\n`,
  // A secret is named where it is used, and comes apart from the rest.
  ...Object.fromEntries(users.map(({ name, password }) => [`etc/secrets/${name}`, password ? job.secrets[password.secret] : ""]))
}
for (const [path, text] of Object.entries(files)) {
  const file = join(job.workspace, "tree", path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { mode: path.startsWith("etc/secrets/") ? 0o600 : 0o644 })
  say({ line: `made /${path}` })
}
for (let done = 0; done < megabytes; done++) {
  writeFileSync(join(job.workspace, "tree/filling"), Buffer.alloc(1 << 20, done), { flag: "a" })
  say({ stage: "tree", percent: (90 * (done + 1)) / megabytes, bytes_done: (done + 1) << 20, bytes_total: megabytes << 20 })
}

say({ stage: "tar", percent: 90 })
const path = `output/${hostname}.tar`
const { status, stderr, error } = spawnSync("tar", [
  "--create", `--file=${join(job.workspace, path)}`, `--directory=${join(job.workspace, "tree")}`,
  "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu", "."
], { encoding: "utf8" })
if (status !== 0) fail("platform", `tar: ${error?.message ?? stderr.trim()}`)
// What is in it, for the image's bills of materials. A program that cannot tell leaves it out.
const inventory = "output/inventory.json"
writeFileSync(join(job.workspace, inventory), JSON.stringify({
  type: "generic", vendor: "example.org",
  packages: [{ name: "greeting", version: "1.0", architecture: "all", source: { name: "example", version: "1.0" }, license: "MIT OR LicenseRef-example" }],
  licenses: [{ id: "LicenseRef-example", name: "Example's own", text: "Greet whom you like." }],
  tools: { node: process.versions.node }
}))
say({ stage: "done", percent: 100 })
say({ artifact: { path, format: "tar", filename: `${hostname}.tar`, media_type: "application/x-tar", inventory } })
