/** A disk that boots in BIOS within a moment, says a text on the serial port, and does nothing more. */
export const sectorSaying = (text: string): Buffer => {
  const code = Buffer.from([
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xbe, 0x15, 0x7c, // mov si, text
    0xac, // next: lodsb
    0x84, 0xc0, // test al, al
    0x74, 0x06, // jz stop
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xee, // out dx, al
    0xeb, 0xf5, // jmp next
    0xf4, // stop: hlt
    0xeb, 0xfd // jmp stop
  ])
  const sector = Buffer.alloc(1024 * 1024)
  code.copy(sector)
  sector.write(`${text}\0`, code.length, "latin1")
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}
