export interface Sized {
  /** About as many bytes as it takes. */
  readonly size: number
}

/** The latest of all that was told, numbered from 0. What goes beyond the limit goes at the other end. */
export class Window<Frame extends Sized> {
  private frames: Array<Frame | undefined> = []
  /** Of those, the first that is still kept. */
  private head = 0
  private bytes = 0
  /** The number of the oldest that is kept. */
  floor = 0
  private readonly limit: () => number
  private readonly dropped: (frame: Frame) => void

  constructor(limit: () => number, dropped: (frame: Frame) => void = () => {}) {
    this.limit = limit
    this.dropped = dropped
  }

  /** The number that the next one gets. */
  get next(): number {
    return this.floor + this.frames.length - this.head
  }

  at(number: number): Frame | undefined {
    return number < this.floor ? undefined : this.frames[this.head + number - this.floor]
  }

  /** The newest is kept, however large. */
  push(frame: Frame): void {
    this.frames.push(frame)
    this.bytes += frame.size
    const limit = this.limit()
    while (this.bytes > limit && this.next - this.floor > 1) this.shift()
    if (this.head > 32 && this.head * 2 > this.frames.length) {
      this.frames = this.frames.slice(this.head)
      this.head = 0
    }
  }

  private shift(): void {
    const frame = this.frames[this.head]!
    this.frames[this.head] = undefined
    this.head += 1
    this.floor += 1
    this.bytes -= frame.size
    this.dropped(frame)
  }
}
