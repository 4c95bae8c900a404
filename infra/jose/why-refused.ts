/** What jose says, in words for the one who holds the token. Its own messages are not passed on. */
import { errors } from "jose"
import { IssuerUnavailable, TokenRefused } from "../../domain/ports/tokens.ts"

export const whyRefused = (error: unknown, issuer: string): TokenRefused | IssuerUnavailable => {
  if (error instanceof errors.JWTExpired) return refused("expired", "the token has expired")
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefused(error.claim)
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return refused("bad-signature", "the token is signed by a method that is not allowed here")
  }
  if (
    error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  ) return refused("bad-signature", "the token is not signed by its issuer's key")
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return refused("malformed", "the token is not a signed JSON Web Token")
  }
  return new IssuerUnavailable({ message: `the keys of token issuer ${issuer} cannot be fetched` })
}

const claimRefused = (claim: string): TokenRefused => {
  switch (claim) {
    case "aud":
      return refused("wrong-audience", "the token is meant for another audience")
    case "nbf":
      return refused("not-yet-valid", "the token is not valid yet")
    case "exp":
      return refused("bad-claims", "the token has no time of expiry")
    default:
      return refused("bad-claims", `the token's claim ${claim} is not right`)
  }
}

const refused = (reason: TokenRefused["reason"], message: string) => new TokenRefused({ reason, message })
