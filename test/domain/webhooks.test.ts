import { describe, expect, it } from "vitest"
import type { ComposeFacts } from "../../domain/compose-facts.ts"
import { withEvent } from "../../domain/compose-facts.ts"
import { Millis } from "../../domain/ids.ts"
import { cloudEvent, composeOccurrences, pipelineOccurrences } from "../../domain/occurrences.ts"
import { PipelineEvent } from "../../domain/pipeline-events.ts"
import { endpointFault } from "../../domain/webhook-endpoint.ts"
import { isWanted } from "../../domain/webhook-matches.ts"
import { pauseAfter, usualRetries } from "../../domain/webhook-retry.ts"
import {
  AddWebhook, AskRedeliveries, AskRedelivery, AskReplay, ChangeWebhook, DeliveryDropped, DisableWebhook, DropDeliveries, EnableWebhook, liveKeys, mostWebhooks, RedeliveryAsked, RemoveWebhook, ReplayAsked, RotateWebhookKey,
  TestWebhook, type Webhook, WebhookAdded, WebhookChanged, WebhookDisabled, WebhookEnabled, WebhookKeyRotated, WebhookRemoved, WebhooksDecider, WebhooksRejected, WebhookTested
} from "../../domain/webhooks.ts"
import { unknownTypes, WebhookId, type WebhookSettings, webhookTypes } from "../../domain/webhook-settings.ts"
import { isInternalAddress } from "../../domain/private-host.ts"
import { jobs, recordedOf, succeeded, wholeLife } from "../support/composes.ts"
import { specify } from "../support/specify.ts"

const webhookId = WebhookId.make("01890000-0000-7000-8000-0000000000aa")
const settings: WebhookSettings = { url: "https://example.org/hook" }
const key = { keyId: "k", nonce: "n", ciphertext: "c", fingerprint: "f" }
const newer = { ...key, ciphertext: "d", fingerprint: "g" }
const added = WebhookAdded.make({ webhookId, settings, key })
const disabled = WebhookDisabled.make({ webhookId, because: "failing" })
const rejected = (reason: WebhooksRejected["reason"]) => new WebhooksRejected({ reason })
const { given } = specify(WebhooksDecider)

describe("a tenant's webhooks", () => {
  it("take one in, once", () => {
    given().when(AddWebhook.make({ webhookId, settings, key })).then(added)
    given(added).when(AddWebhook.make({ webhookId, settings, key })).thenNothing()
  })
  it("take no more than there is room for", () => {
    const many = Array.from({ length: mostWebhooks }, (_, at) => WebhookAdded.make({ webhookId: WebhookId.make(webhookId.replace(/..$/, String(at).padStart(2, "0"))), settings, key }))
    given(...many).when(AddWebhook.make({ webhookId: WebhookId.make(webhookId.replace("aa", "bb")), settings, key })).thenRejected(rejected("TooMany"))
  })
  it("record a change only if something changes", () => {
    given(added).when(ChangeWebhook.make({ webhookId, settings })).thenNothing()
    const other = { ...settings, types: ["kiln.image.*"] } as const
    given(added).when(ChangeWebhook.make({ webhookId, settings: other })).then(WebhookChanged.make({ webhookId, settings: other }))
  })
  it("know nothing of one that was removed", () => {
    given(added).when(RemoveWebhook.make({ webhookId })).then(WebhookRemoved.make({ webhookId }))
    given(added, WebhookRemoved.make({ webhookId })).when(TestWebhook.make({ webhookId })).thenRejected(rejected("NotFound"))
  })
  it("are disabled and enabled once", () => {
    given(added).when(DisableWebhook.make({ webhookId, because: "failing" })).then(disabled)
    given(added, disabled).when(DisableWebhook.make({ webhookId, because: "failing" })).thenNothing()
    given(added, disabled).when(EnableWebhook.make({ webhookId })).then(WebhookEnabled.make({ webhookId }))
    given(added).when(EnableWebhook.make({ webhookId })).thenNothing()
  })
  it("have nothing sent again to one that is disabled, but tests", () => {
    given(added, disabled).when(AskRedelivery.make({ webhookId, delivery: "x" })).thenRejected(rejected("Disabled"))
    given(added, disabled).when(AskReplay.make({ webhookId, since: Millis.make(1) })).thenRejected(rejected("Disabled"))
    given(added, disabled).when(TestWebhook.make({ webhookId })).then(WebhookTested.make({ webhookId }))
    given(added).when(AskRedelivery.make({ webhookId, delivery: "x" })).then(RedeliveryAsked.make({ webhookId, delivery: "x" }))
    given(added, disabled).when(AskRedeliveries.make({ webhookId, deliveries: ["x"] })).thenRejected(rejected("Disabled"))
    given(added).when(AskRedeliveries.make({ webhookId, deliveries: ["x", "y"] }))
      .then(RedeliveryAsked.make({ webhookId, delivery: "x" }), RedeliveryAsked.make({ webhookId, delivery: "y" }))
    given(added).when(AskReplay.make({ webhookId, since: Millis.make(1) })).then(ReplayAsked.make({ webhookId, since: Millis.make(1) }))
  })
  it("forget what was given up, disabled or not", () => {
    given(added, disabled).when(DropDeliveries.make({ webhookId, deliveries: ["x", "y"] }))
      .then(DeliveryDropped.make({ webhookId, delivery: "x" }), DeliveryDropped.make({ webhookId, delivery: "y" }))
    given().when(DropDeliveries.make({ webhookId, deliveries: ["x"] })).thenRejected(rejected("NotFound"))
  })
  it("have two keys for a while after a rotation, and never three", () => {
    const rotated = WebhookKeyRotated.make({ webhookId, key: newer, oldUntil: Millis.make(1000) })
    given(added).when(RotateWebhookKey.make({ webhookId, key: newer, oldUntil: Millis.make(1000) })).then(rotated)
    const after = (...events: ReadonlyArray<typeof rotated>): Webhook => [added, ...events].reduce(WebhooksDecider.evolve, WebhooksDecider.initial).get(webhookId)!
    expect([liveKeys(after(rotated), 999), liveKeys(after(rotated), 1000)]).toEqual([[newer, key], [newer]])
    const third = { ...key, ciphertext: "e" }
    expect(liveKeys(after(rotated, WebhookKeyRotated.make({ webhookId, key: third, oldUntil: Millis.make(2000) })), 0)).toEqual([third, newer])
  })
})

const facts = (until: number): ComposeFacts => wholeLife.slice(0, until).reduce(withEvent, undefined as ComposeFacts | undefined)!
const occurrences = recordedOf(wholeLife).flatMap((recorded, at) => composeOccurrences(recorded, facts(at + 1)))

describe("what those outside are told of a compose", () => {
  it("are its events in order, by names that are all known", () => {
    expect(occurrences.map(({ type }) => type)).toEqual([
      "kiln.compose.requested", "kiln.job.started", "kiln.job.succeeded", "kiln.job.started", "kiln.image.built", "kiln.job.started", "kiln.image.delivered", "kiln.compose.succeeded"
    ])
    expect(occurrences.every(({ type }) => webhookTypes.includes(type))).toBe(true)
    expect(new Set(occurrences.map(({ id }) => id)).size).toBe(occurrences.length)
  })
  it("have the compose's state, once it has happened", () => {
    expect(occurrences.map(({ about }) => about?.status)).toEqual(["pending", "running", "running", "running", "running", "running", "running", "succeeded"])
  })
  it("have nothing of fences, places of workers or sealed passwords", () => {
    const texts = occurrences.map((each) => cloudEvent("test", "acme", each)).join("\n")
    for (const secret of ["token-of-", "heldBy", "held_by", "sealed", "ciphertext"]) expect(texts).not.toContain(secret)
  })
  it("say of an image what it is", () => {
    const built = occurrences.find(({ type }) => type === "kiln.image.built")!
    expect(built.data).toMatchObject({ image: { index: 0, type: "guest-image", architecture: "x86_64" }, artifact: { size: 7, format: "qcow2" }, reused: false })
    expect(composeOccurrences(recordedOf([succeeded(jobs.upload)])[0]!, facts(10))[0]).toMatchObject({ type: "kiln.image.delivered", data: { target: { index: 0, type: "file" } } })
  })
})

describe("a filter", () => {
  const [requested, , , , built] = occurrences
  const wants = (more: Partial<WebhookSettings>, occurrence = requested!) => isWanted(webhookId, { ...settings, ...more }, occurrence)
  const labelled = { ...requested!, about: { ...requested!.about!, labels: { team: "web" } } }

  it.each([
    [{}, true], [{ types: ["kiln.compose.*"] }, true], [{ types: ["kiln.*"] }, true], [{ types: ["kiln.image.*", "kiln.job.started"] }, false],
    [{ types: ["kiln.compose.requested"], filter: { distributions: ["debian-12", "debian-13"] } }, true], [{ filter: { distributions: ["debian-12"] } }, false],
    [{ filter: { imageTypes: ["guest-image"] } }, true], [{ filter: { imageTypes: ["aws"] } }, false], [{ filter: { targets: ["file"] } }, true],
    [{ filter: { targets: ["aws"] } }, false], [{ filter: { statuses: ["failed", "pending"] } }, true], [{ filter: { statuses: ["failed"] } }, false],
    [{ filter: { distributions: ["debian-13"], statuses: ["failed"] } }, false]
  ] as ReadonlyArray<[Partial<WebhookSettings>, boolean]>)("of %j lets a request for a Debian 13 through: %s", (more, expected) => expect(wants(more)).toBe(expected))

  it("of labels asks for each of them, by its value or any", () => {
    expect([{ team: "web" }, { team: "*" }, { team: "db" }, { team: "web", stage: "*" }].map((labels) => wants({ filter: { labels: labels as Record<string, string> } }, labelled))).toEqual([true, true, false, false])
  })
  it("says nothing of what is about no compose", () => {
    const { about: _, ...notice } = { ...built!, type: "kiln.webhook.disabled" as const }
    expect(wants({ filter: { distributions: ["fedora-44"] } }, notice)).toBe(true)
  })
  it("does not stand in the way of a test, which is for one alone", () => {
    const test = { ...requested!, type: "kiln.webhook.test" as const, only: webhookId }
    expect([wants({ types: ["kiln.image.*"] }, test), isWanted(WebhookId.make(webhookId.replace("aa", "bb")), settings, test)]).toEqual([true, false])
  })
  it("of types that there are not is known as such", () => expect(unknownTypes(["kiln.compose.*", "kiln.compose.built", "kiln.nothing.*"])).toEqual(["kiln.compose.built", "kiln.nothing.*"]))
})

describe("an endpoint", () => {
  it.each(["http://127.0.0.1/", "https://10.1.2.3/x", "http://[::1]:80/", "http://localhost/", "http://2130706433/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest", "https://a:b@example.org/"])(
    "at %s is refused by what is written", (url) => expect(endpointFault(url, isInternalAddress)).toBeDefined())
  it.each(["https://example.org/hook?x=1", "http://93.184.216.34:8080", "https://[2606:2800:220::1]/"])("at %s is not", (url) => expect(endpointFault(url, isInternalAddress)).toBeUndefined())
})

describe("an address that only insiders reach", () => {
  it.each([
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.2.1", "203.0.113.9", "127.0.0.1", "169.254.169.254", "fd12::1", "fc00::1", "fec0::1",
    "::ffff:10.0.0.1", "::ffff:192.168.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:0a00:0001::", "2002:7f00:1::", "2001::1", "2001:db8::1", "::10.0.0.1"
  ])("is %s", (address) => expect(isInternalAddress(address)).toBe(true))
  it.each(["93.184.216.34", "172.32.0.1", "100.128.0.1", "11.0.0.1", "2606:2800:220::1", "64:ff9b::5db8:d822", "2002:5db8:d822::"])("is not %s", (address) => expect(isInternalAddress(address)).toBe(false))
})

describe("pauses between attempts", () => {
  it("grow threefold up to their longest, and some 25 of them fill three days", () => {
    const pauses = Array.from({ length: 40 }, (_, at) => pauseAfter(usualRetries, at + 1, 0.5))
    expect(pauses.slice(0, 3)).toEqual([5000, 15_000, 45_000])
    expect(Math.max(...pauses)).toBe(usualRetries.longestMs)
    let passed = 0
    expect(pauses.findIndex((pause) => (passed += pause) > usualRetries.forMs)).toBeGreaterThan(20)
  })
  it("give whoever asks for time that time, within limits", () => {
    expect([pauseAfter(usualRetries, 1, 0, 60_000), pauseAfter(usualRetries, 1, 0, 1e12)]).toEqual([60_000, usualRetries.longestMs])
  })
})

describe("what those outside are told of a pipeline", () => {
  it("is what became of builds, and what its name stands for; a filter of composes does not stand in the way", () => {
    const events: ReadonlyArray<PipelineEvent> = [
      PipelineEvent.cases.BuildAsked.make({ at: Millis.make(1) }), PipelineEvent.cases.BuildEnded.make({ at: Millis.make(2), number: 3, outcome: "good" }),
      PipelineEvent.cases.PipelinePromoted.make({ at: Millis.make(2), number: 3, by: "build" })
    ]
    const told = pipelineOccurrences({ ...recordedOf(wholeLife)[0]!, aggregate: "pipeline", id: "web", events: events as never })
    expect(told.map(({ data, type }) => [type, data])).toEqual([
      ["kiln.pipeline.built", { pipeline: "web", number: 3 }], ["kiln.pipeline.promoted", { pipeline: "web", number: 3, by: "build" }]
    ])
    expect(told.every((each) => isWanted(webhookId, { ...settings, filter: { distributions: ["fedora-44"] } }, each))).toBe(true)
  })
})
