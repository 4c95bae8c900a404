/** The four calls that a pool takes, the same for groups of a zone and of a region. */
import type { InstanceGroupManagersClient } from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js"

export type ClientOptions = NonNullable<ConstructorParameters<typeof InstanceGroupManagersClient>[0]>

export interface ManagedInstance {
  readonly instance?: string | null
  readonly name?: string | null
  readonly currentAction?: string | null
  readonly instanceStatus?: string | null
}

export interface GroupClient {
  members(): Promise<ReadonlyArray<ManagedInstance>>
  targetSize(): Promise<number>
  resize(size: number): Promise<void>
  /** Those that are gone or going already are passed over. */
  deleteInstances(instances: ReadonlyArray<string>): Promise<void>
  close(): Promise<void>
}

export interface Place {
  readonly project: string
  readonly group: string
  readonly zone?: string
  readonly region?: string
}

/** Only the client of this one service, over HTTP/1.1: all of Google's compute library takes a second and 200 MiB. */
export const groupClient = async ({ group, project, region, zone }: Place, options: ClientOptions): Promise<GroupClient> => {
  const given = { fallback: true, ...options } as const
  const named = { project, instanceGroupManager: group }
  if (zone !== undefined) {
    const { InstanceGroupManagersClient } = await import("@google-cloud/compute/build/src/v1/instance_group_managers_client.js")
    const client = await ready(new InstanceGroupManagersClient(given))
    const where = { ...named, zone }
    return {
      members: () => all(client.listManagedInstancesAsync(where, { autoPaginate: false })),
      targetSize: async () => (await client.get(where))[0].targetSize ?? 0,
      resize: async (size) => accepted(await client.resize({ ...where, size })),
      deleteInstances: async (instances) => accepted(await client.deleteInstances({
        ...where, instanceGroupManagersDeleteInstancesRequestResource: { instances: [...instances], skipInstancesOnValidationError: true }
      })),
      close: () => client.close()
    }
  }
  const { RegionInstanceGroupManagersClient } = await import("@google-cloud/compute/build/src/v1/region_instance_group_managers_client.js")
  const client = await ready(new RegionInstanceGroupManagersClient(given))
  const where = { ...named, region: region! }
  return {
    members: () => all(client.listManagedInstancesAsync(where, { autoPaginate: false })),
    targetSize: async () => (await client.get(where))[0].targetSize ?? 0,
    resize: async (size) => accepted(await client.resize({ ...where, size })),
    deleteInstances: async (instances) => accepted(await client.deleteInstances({
      ...where, regionInstanceGroupManagersDeleteInstancesRequestResource: { instances: [...instances], skipInstancesOnValidationError: true }
    })),
    close: () => client.close()
  }
}

/** A client whose credentials cannot be read stays useless, and would end the process by a rejection that nobody hears. */
const ready = async <Client extends { initialize(): Promise<unknown> }>(client: Client): Promise<Client> => {
  await client.initialize()
  return client
}

const all = async (pages: AsyncIterable<ManagedInstance>): Promise<ReadonlyArray<ManagedInstance>> => {
  const members: Array<ManagedInstance> = []
  for await (const member of pages) members.push(member)
  return members
}

/** An answer may be an operation that has failed already. */
const accepted = ([operation]: readonly [{ readonly latestResponse?: unknown }, ...ReadonlyArray<unknown>]) => {
  const { error, httpErrorMessage } = (operation.latestResponse ?? {}) as {
    readonly error?: { readonly errors?: ReadonlyArray<{ readonly code?: string; readonly message?: string }> } | null
    readonly httpErrorMessage?: string | null
  }
  const [first] = error?.errors ?? []
  if (first !== undefined) throw Object.assign(new Error(first.message ?? httpErrorMessage ?? "the operation failed"), { code: first.code })
}
