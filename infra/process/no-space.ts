/** How a full disk is told, wherever it is noticed. */
export const noSpace = "no space left on this worker's disk"
