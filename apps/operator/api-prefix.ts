/** `prefix` of the contract, without loading all its schemas for it; a test holds the two together. */
export const prefix = "/api/kiln/v1"
