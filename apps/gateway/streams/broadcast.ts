/** Told to all who sit there, from one shared window, to each as fast as it reads. Whom the window has overtaken was too slow. */
import type { Reader } from "./reader.ts"
import { type Sized, Window } from "./window.ts"

interface Seat<Frame> {
  readonly reader: Reader
  /** What a frame is to this reader; nothing if it is not to be told. */
  readonly render: (frame: Frame) => Uint8Array | string | undefined
  /** The number of the next one for it. */
  next: number
}

export class Broadcast<Frame extends Sized> {
  readonly window: Window<Frame>
  private readonly seats = new Set<Seat<Frame>>()

  constructor(window: Window<Frame>) {
    this.window = window
  }

  say(frame: Frame): void {
    this.window.push(frame)
    for (const seat of this.seats) this.tell(seat)
  }

  /** Only to who has heard all that was said before, and can take more. */
  mention(text: Uint8Array): void {
    for (const { next, reader } of this.seats) if (reader.free && next === this.window.next) reader.write(text)
  }

  /** Begins with the oldest in the window. */
  sit(reader: Reader, render: Seat<Frame>["render"]): { readonly rise: () => void; readonly isUpToDate: () => boolean } {
    const seat = { reader, render, next: this.window.floor }
    this.seats.add(seat)
    reader.onFree = () => this.tell(seat)
    this.tell(seat)
    return { rise: () => void this.seats.delete(seat), isUpToDate: () => seat.next === this.window.next }
  }

  each(use: (reader: Reader) => void): void {
    for (const { reader } of this.seats) use(reader)
  }

  private tell(seat: Seat<Frame>): void {
    while (seat.next < this.window.next && seat.reader.free) {
      const frame = this.window.at(seat.next)
      if (frame === undefined) return seat.reader.leave("slow")
      seat.next += 1
      const text = seat.render(frame)
      if (text !== undefined) seat.reader.write(text)
    }
  }
}
