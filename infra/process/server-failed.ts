import { Schema } from "effect"

/** A server that Kiln runs by itself could not start or has ended; the message is a sentence for people. */
export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", {
  server: Schema.Literals(["nats-server", "postgres"]),
  message: Schema.String
}) {}
