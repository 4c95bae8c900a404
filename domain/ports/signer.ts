import { Context } from "effect"

/** Signs what is handed out and comes back unchanged, such as a download link. Every process of an installation agrees. */
export class Signer extends Context.Service<Signer, {
  sign(text: string): string
  verify(text: string, signature: string): boolean
}>()("domain/ports/Signer") {}
