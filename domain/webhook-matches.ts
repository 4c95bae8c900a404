/** Which webhooks are told of what. Pure. */
import type { About, Occurrence } from "./occurrences.ts"
import { matchesType, type WebhookFilter, type WebhookId, type WebhookSettings } from "./webhook-settings.ts"

export const isWanted = (webhookId: WebhookId, { filter, types }: WebhookSettings, { about, only, type }: Occurrence): boolean =>
  only !== undefined ? only === webhookId : matchesType(types, type) && (filter === undefined || about === undefined || passes(filter, about))

const passes = ({ distributions, imageTypes, labels = {}, statuses, targets }: WebhookFilter, about: About): boolean =>
  meets(distributions, [about.distribution]) && meets(imageTypes, about.imageTypes) && meets(targets, about.targets) && meets(statuses, [about.status]) &&
  Object.entries(labels).every(([name, value]) => Object.hasOwn(about.labels, name) && (value === "*" || about.labels[name] === value))

const meets = (wanted: ReadonlyArray<string> | undefined, there: ReadonlyArray<string>): boolean =>
  wanted === undefined || wanted.some((each) => there.includes(each))
