#!/usr/bin/env node
// Stands in for osbuild where it is not installed: takes the arguments that Kiln gives it and refuses all others, looks at
// the manifest as far as it has to, and writes a monitor stream and a result of the real one's shapes (osbuild 190).
// A stage of type org.test.sleep goes on until it is stopped, org.test.fail fails, org.test.link exports a link.
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync, writeSync } from "node:fs"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"

if (process.argv[2] === "--version") {
  console.log("osbuild 190")
  process.exit(0)
}
const text = { type: "string" }
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    store: text, "cache-max-size": text, libdir: text, "output-directory": text, export: text, checkpoint: { type: "string", multiple: true },
    json: { type: "boolean" }, monitor: text, "monitor-fd": text
  }
})
const { monitor, "monitor-fd": fd, "output-directory": output, store } = values
if (!values.json || monitor !== "JSONSeqMonitor" || fd !== "3" || positionals.length !== 1 || !existsSync(store) || !existsSync(output)) {
  console.error("stand-in: not called as agreed", values, positionals)
  process.exit(2)
}
if (!/^(unlimited|\d+ ?([kMGT]i?B)?)$/.test(values["cache-max-size"])) process.exit(2)

const manifest = JSON.parse(readFileSync(positionals[0], "utf8"))
const finish = (code, result) => {
  console.log(JSON.stringify(result))
  process.exit(code)
}
const { pipelines, sources = {} } = manifest
if (manifest.version !== "2" || !Array.isArray(pipelines)) {
  finish(2, {
    type: "https://osbuild.org/validation-error", title: "JSON Schema validation failed", success: false,
    errors: [{ message: "'pipelines' is a required property", path: ["pipelines"] }]
  })
}
if (!pipelines.some(({ name }) => name === values.export)) {
  console.log(`Export ${values.export} not found in ${JSON.stringify(pipelines.map(({ name }) => name))}`)
  process.exit(1)
}

const idOf = (value) => createHash("sha256").update(JSON.stringify(value)).digest("hex")
const known = new Set()
const total = Object.keys(sources).length + pipelines.length
let done = 0
let sub
const entry = (origin, message, pipeline, stage, more = {}) => {
  const full = { origin, pipeline: { ...pipeline && { name: pipeline.name, id: idOf(pipeline) }, stage: stage ? { name: stage.type, id: idOf(stage) } : {} } }
  const id = idOf(full)
  const context = known.has(id) ? { id } : { ...full, id }
  known.add(id)
  const progress = { name: "pipelines/sources", total, done, ...sub && { progress: sub } }
  writeSync(3, `\u001e${JSON.stringify({ ...message && { message }, context, progress, timestamp: Date.now() / 1000, ...more })}\n`)
}
const by = "osbuild.monitor"

entry("osbuild.main_cli", `starting ${positionals[0]}`)
for (const type of Object.keys(sources)) {
  const pipeline = { name: `source ${type}` }
  entry(by, `Starting pipeline source ${type}`, pipeline)
  if (type === "org.test.gone") {
    finish(1, { type: "error", success: false, error: { type: "org.osbuild.error.source", details: { source: { type, output: "curl: error downloading: exit code 7" } } }, log: {} })
  }
  entry(by, `Finished module source ${type}`, pipeline, undefined, { result: { name: `source ${type}`, success: true } })
  done += 1
}
const said = []
for (const pipeline of pipelines) {
  sub = { name: `pipeline: ${pipeline.name}`, total: pipeline.stages.length, done: 0 }
  entry(by, `Starting pipeline ${pipeline.name}`, pipeline)
  for (const stage of pipeline.stages) {
    entry(by, `Starting module ${stage.type}`, pipeline, stage)
    const words = `${stage.type} at work\n${stage.options?.greeting ?? ""}\n`
    entry(`stages/${stage.type}`, words, pipeline, stage)
    if (stage.type === "org.test.sleep") {
      // SIGTERM leaves its mounts: who sends it finds it deaf here.
      process.on("SIGTERM", () => {})
      spawn("sleep", ["300"], { detached: true, stdio: "ignore" })
      const asked = new Promise((resolve) => process.once("SIGINT", resolve))
      entry(`stages/${stage.type}`, "endless\n", pipeline, stage)
      await asked
      writeFileSync(join(store, "aborted"), "")
      console.log("Aborted")
      process.exit(130)
    }
    if (stage.type === "org.test.fail") {
      const details = { stage: { id: idOf(stage), type: stage.type, output: `${words}it went wrong\n`, error: {} } }
      finish(1, { type: "error", success: false, error: { type: "org.osbuild.error.stage", details }, log: {} })
    }
    said.push(words)
    sub.done += 1
    entry(by, `Finished module ${stage.type}`, pipeline, stage, { duration: 0.1, result: { name: stage.type, id: idOf(stage), success: true, output: words } })
  }
  done += 1
  sub = undefined
  entry(by, `Finished pipeline ${pipeline.name}`, pipeline)
}
const tree = join(output, values.export)
mkdirSync(tree)
const isLink = pipelines.some(({ stages }) => stages.some(({ type }) => type === "org.test.link"))
if (isLink) symlinkSync("/etc/hostname", join(tree, "image.tar"))
else writeFileSync(join(tree, "image.tar"), said.join(""))
// As osbuild's own stage for RPM says it, of each pipeline that has one.
const rpms = pipelines.flatMap(({ name, stages }) => stages.filter(({ type }) => type === "org.osbuild.rpm").map(({ options: { packages } }) => [name, {
  "org.osbuild.rpm": { packages: packages.map((one) => ({ ...one, arch: "x86_64", sigmd5: "ab", sigpgp: null, siggpg: null })) }
}]))
finish(0, { type: "result", success: true, metadata: Object.fromEntries(rpms), sources: { success: true }, log: {} })
