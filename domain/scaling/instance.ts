/** A machine or process that runs one worker. */
export interface Instance {
  /** As the provider calls it. */
  readonly id: string
  /** The name under which its worker is heard. */
  readonly worker: string
  readonly state: InstanceState
  /** Whether the provider may not end it by itself; absent where it knows no such thing. */
  readonly protected?: boolean
}

/** `stopping`: on its way out, whoever sent it. */
export type InstanceState = "starting" | "running" | "stopping"
