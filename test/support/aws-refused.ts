/** How the stand-ins for AWS say no. */
export class Refused {
  readonly code: string
  readonly message: string
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    this.code = code
    this.message = message
    this.status = status
  }
}
