/** An S3 that forgets what it was sent, in a process of its own; its standard output says where it is. */
import { startS3 } from "../../support/s3-stand-in.ts"

const s3 = await startS3({ forgetful: true })
s3.store.make("images", "us-east-1")
process.stdout.write(`${s3.endpoint}\n`)
process.stdin.resume().on("end", () => process.exit())
