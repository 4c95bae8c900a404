/** Being told of what happens. */
import { Argument, Command, Flag } from "effect/cli"
import { talking } from "../root.ts"
import { all, described, limit, off, optional, targetNames, within, yes } from "./flags.ts"
import { load } from "./load.ts"

const id = Argument.String("id").pipe(
  Argument.withDescription("The webhook, as kiln webhooks list shows it"),
  Argument.filter((text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text), () => "a webhook's id, as kiln webhooks list shows it")
)
const event = Argument.String("event").pipe(Argument.withDescription("The event, as kiln webhooks deliveries shows it"))

const any = (name: string, words: string) => Flag.String(name).pipe(described(`${words}; any number of times`), Flag.atLeast(0))
const settings = {
  type: any("type", "Only such events, such as kiln.compose.failed, or kiln.image.* for all of images"),
  distribution: any("distribution", "Only of composes of this distribution"),
  imageType: any("image-type", "Only about images of this type"),
  status: Flag.Literals("status", ["pending", "running", "succeeded", "failed", "canceled"]).pipe(described("Only while the compose is in this state; any number of times"), Flag.atLeast(0)),
  target: Flag.Literals("target", targetNames).pipe(described("Only about images that go there; any number of times"), Flag.atLeast(0)),
  label: Flag.String("label").pipe(Flag.withMetavar("name[=value]"), described("Only of composes with this label; any number of times"), Flag.atLeast(0)),
  description: optional("description", "For people")
}

const commands = () => import("../commands/webhooks.ts")

export const webhooks = Command.make("webhooks").pipe(
  Command.withDescription("Endpoints that are told of what happens, by signed HTTP requests"),
  Command.withSubcommands([
    Command.make("list", {}, () => talking(load(commands, ({ listWebhooks }) => listWebhooks()))).pipe(
      Command.withDescription("List webhooks and how they fare")
    ),
    Command.make("add", {
      url: Argument.String("url").pipe(Argument.withDescription("The endpoint, https://…")), ...settings
    }, (input) => talking(load(commands, ({ addWebhook }) => addWebhook(input)))).pipe(
      Command.withDescription("Add a webhook and print its secret, which is never shown again"),
      Command.withExamples([
        { command: "kiln webhooks add https://example.org/kiln --type kiln.compose.failed --label team=web", description: "Only of one team's failed composes" }
      ])
    ),
    Command.make("show", { id }, (input) => talking(load(commands, ({ showWebhook }) => showWebhook(input)))).pipe(
      Command.withDescription("Show one webhook")
    ),
    Command.make("change", {
      id, url: optional("url", "Another endpoint"), ...settings,
      clear: Flag.Literals("clear", ["types", "filter", "description"]).pipe(described("Take this away; any number of times"), Flag.atLeast(0))
    }, (input) => talking(load(commands, ({ changeWebhook }) => changeWebhook(input)))).pipe(
      Command.withDescription("Change it; of its filter, what is said takes the place of the whole")
    ),
    Command.make("remove", { id, yes }, (input) => talking(load(commands, ({ removeWebhook }) => removeWebhook(input)))).pipe(
      Command.withDescription("Remove it, with the record of its deliveries")
    ),
    Command.make("test", {
      id, detach: Flag.Boolean("detach").pipe(described("Do not wait for what comes of it"), off)
    }, (input) => talking(load(commands, ({ testWebhook }) => testWebhook(input)))).pipe(
      Command.withDescription("Send something to try the endpoint, once, and show what it answered")
    ),
    Command.make("deliveries", {
      id,
      status: Flag.Literals("status", ["waiting", "delivered", "parked"]).pipe(described("Only in this state"), Flag.optional),
      event: optional("event", "Only this one, with what is sent and what was answered"),
      ...within("Happened"), limit, all
    }, (input) => talking(load(commands, ({ listDeliveries }) => listDeliveries(input)))).pipe(
      Command.withDescription("List what was sent and what came of it, the latest first")
    ),
    Command.make("redeliver", { id, event }, (input) => talking(load(commands, ({ redeliver }) => redeliver(input)))).pipe(
      Command.withDescription("Send one event again")
    ),
    Command.make("replay", {
      id,
      since: optional("since", "What happened at or after: 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago"),
      after: optional("after", "What came after this place in the log, such as EVENTS:1234")
    }, (input) => talking(load(commands, ({ replayWebhook }) => replayWebhook(input)))).pipe(
      Command.withDescription("Send again all that it would be told of")
    ),
    Command.make("rotate", {
      id, oldFor: optional("old-for", "How long the old secret counts beside the new one: 0s, 1h, 7d (1d)")
    }, (input) => talking(load(commands, ({ rotateSecret }) => rotateSecret(input)))).pipe(
      Command.withDescription("Make a new secret and print it")
    ),
    Command.make("enable", { id }, (input) => talking(load(commands, ({ setEnabled }) => setEnabled({ ...input, enabled: true })))).pipe(
      Command.withDescription("Tell it of what happens from now on")
    ),
    Command.make("disable", { id }, (input) => talking(load(commands, ({ setEnabled }) => setEnabled({ ...input, enabled: false })))).pipe(
      Command.withDescription("Tell it of nothing; what waits is parked")
    )
  ])
)
