/** The log, what is made of it, and what could not be. */
import { Argument, Command, Flag } from "effect/cli"
import { alone, talking } from "../root.ts"
import { described, off, optional, projectionNames, yes } from "./flags.ts"
import { load } from "./load.ts"

export const events = Command.make("events").pipe(
  Command.withDescription("The log itself; run it where npm start runs"),
  Command.withSubcommands([
    Command.make("tail", {
      tenant: optional("tenant", "Only of this tenant"),
      aggregate: Flag.String("aggregate").pipe(Flag.withMetavar("kind[/id]"), described("Only of this kind, such as compose or account, or of one of them"), Flag.optional),
      event: Flag.String("event").pipe(Flag.withMetavar("name"), described("Only decisions with this event, any number of times"), Flag.atLeast(0)),
      from: Flag.String("from").pipe(Flag.withMetavar("place"), described("From here on: 17, EVENTS:17, 2026-01-31T12:00:00Z, or 2h for two hours ago (now)"), Flag.optional),
      once: Flag.Boolean("once").pipe(described("End with what is there"), off)
    }, (input) => alone(load(() => import("../commands/events.ts"), ({ tailEvents }) => tailEvents(input)))).pipe(
      Command.withDescription("Print what is decided, as it comes; with --json a decision a line"),
      Command.withExamples([
        { command: "kiln events tail --tenant acme --from 1h", description: "One tenant's, from an hour ago" },
        { command: "kiln events tail --from 1 --once --json", description: "The whole log" }
      ])
    ),
    Command.make("show", {
      place: Argument.String("place").pipe(Argument.withDescription("EVENTS:17, 17, or an aggregate: acme/account, acme/compose/<id>"))
    }, (input) => alone(load(() => import("../commands/events.ts"), ({ showEvents }) => showEvents(input)))).pipe(
      Command.withDescription("Print what lies at a place of the log, or all of one aggregate, without secrets")
    ),
    Command.make("export", {
      to: Flag.String("to").pipe(Flag.withMetavar("place"), described("A folder, or s3://bucket/prefix")),
      withoutBlobs: Flag.Boolean("without-blobs").pipe(described("Leave out locks, archived logs, bills of materials and stored files"), off)
    }, (input) => alone(load(() => import("../commands/log-copies.ts"), ({ exportLog }) => exportLog(input)))).pipe(
      Command.withDescription("Write the whole log to files that vouch for themselves; nobody has to stop for it")
    ),
    Command.make("import", {
      from: Flag.String("from").pipe(Flag.withMetavar("place"), described("Where an export is")),
      check: Flag.Boolean("check").pipe(described("Only read all of it"), off),
      withoutBlobs: Flag.Boolean("without-blobs").pipe(described("Leave out locks, archived logs, bills of materials and stored files"), off),
      yes
    }, (input) => alone(load(() => import("../commands/log-copies.ts"), ({ importLog }) => importLog(input)))).pipe(
      Command.withDescription("Fill a log in which nothing is from an export; while no scheduler runs")
    )
  ])
)

export const streams = Command.make("streams", {
  name: Argument.String("name").pipe(Argument.withDescription("Who reads this stream"), Argument.optional)
}, (input) => alone(load(() => import("../commands/streams.ts"), ({ streams }) => streams(input)))).pipe(
  Command.withDescription("List the streams of log and blobs: how much is in them, from when to when; run it where npm start runs")
)

export const archive = Command.make("archive", {
  stream: Argument.String("stream").pipe(Argument.withDescription("As kiln streams shows it; else all whose time is over"), Argument.optional),
  withUnreadable: Flag.Boolean("with-unreadable").pipe(described("Also where there are entries that nobody can read: they are kept as they are"), off),
  yes
}, (input) => alone(load(() => import("../commands/archive.ts"), ({ archive }) => archive(input)))).pipe(
  Command.withDescription("Put periods of the log that are over into the archive now, and take them off the server")
)

export const projections = Command.make("projections", {}, () =>
  alone(load(() => import("../commands/projections.ts"), ({ projections }) => projections()))).pipe(
  Command.withDescription("List read models: how far each has come, and what grows beside it; run it where npm start runs")
)

const parkedIds = Argument.String("id").pipe(
  Argument.withDescription("As kiln parked list shows it"),
  Argument.filter((text) => /^[0-9a-f]{1,1000}$/.test(text), () => "an id as kiln parked list shows it"),
  Argument.atLeast(0)
)
const parkedFilter = {
  what: Flag.Literals("what", ["event", "report", "job", "delivery"]).pipe(described("Only of this kind"), Flag.optional),
  tenant: optional("tenant", "Only of this tenant")
}

export const parked = Command.make("parked").pipe(
  Command.withDescription("What was put aside since it could not be taken in, for operators"),
  Command.withSubcommands([
    Command.make("list", parkedFilter, (input) =>
      talking(load(() => import("../commands/parked.ts"), ({ listParked }) => listParked(input)))).pipe(
      Command.withDescription("List what is parked, newest first; --json has the beginning of its text")
    ),
    Command.make("retry", {
      ids: parkedIds,
      ...parkedFilter,
      projection: Flag.Literals("projection", projectionNames).pipe(described("Only events, and of this read model"), Flag.optional)
    }, (input) => alone(load(() => import("../commands/parked.ts"), ({ retryParked }) => retryParked(input)))).pipe(
      Command.withDescription("Take in anew, begin or send again; run it where npm start runs"),
      Command.withExamples([
        { command: "kiln parked retry", description: "All that read models have put aside" },
        { command: "kiln parked retry 5f2c9c0e8ab14d77", description: "One thing, as kiln parked list shows it" },
        { command: "kiln parked retry --what delivery --tenant acme", description: "What webhooks of one tenant have given up" }
      ])
    ),
    Command.make("drop", {
      ids: parkedIds,
      ...parkedFilter,
      all: Flag.Boolean("all").pipe(described("All there are"), off),
      yes
    }, (input) => talking(load(() => import("../commands/parked.ts"), ({ dropParked }) => dropParked(input)))).pipe(
      Command.withDescription("Forget it")
    )
  ])
)

export const replay = Command.make("replay", {
  projection: Flag.Literals("projection", projectionNames).pipe(described("Which read model")),
  tenant: optional("tenant", "Only the rows of this tenant"),
  from: Flag.String("from").pipe(Flag.withMetavar("position"), described("Only what has an entry from here on, each from its own beginning: 17, EVENTS:17, 2026-01-31T12:00:00Z, or 2h"), Flag.optional),
  until: optional("until", "As it was at this time, in a table beside the live one")
}, (input) => alone(load(() => import("../replay.ts"), ({ replay }) => replay(input)))).pipe(
  Command.withDescription("Rebuild a read model from the log, while it is being read; run it where npm start runs"),
  Command.withExamples([
    { command: "kiln replay --projection composes", description: "All of it; interrupted, it goes on where it stopped" },
    { command: "kiln replay --projection composes --tenant acme", description: "One tenant's rows" }
  ])
)

export const verify = Command.make("verify", {
  projection: Flag.Literals("projection", projectionNames).pipe(described("Only this read model, and not the log itself"), Flag.optional)
}, (input) => alone(load(() => import("../commands/verify.ts"), ({ verify }) => verify(input)))).pipe(
  Command.withDescription("Check that read models are what the log says and that the log is whole; run it where npm start runs")
)
