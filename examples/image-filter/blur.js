// A Gaussian blur of an RGBA image, in place: first along each row, then along each column. Rows do not depend on one
// another, and neither do columns, so that threads can share each of the two passes, but not both at once.

const CHANNELS = 4
const SIGMA = 5
const RADIUS = 3 * SIGMA

const newKernel = () => {
  const weights = Float32Array.from({ length: 2 * RADIUS + 1 }, (_, at) =>
    Math.exp(-((at - RADIUS) ** 2) / (2 * SIGMA ** 2)),
  )
  const sum = weights.reduce((total, weight) => total + weight)
  return weights.map((weight) => weight / sum)
}

const KERNEL = newKernel()

/** Blurs one line of pixels that lie `step` bytes apart. Behind its ends, the line goes on as its last pixels. */
const blurLine = (pixels, start, step, length, line) => {
  for (let channel = 0; channel < CHANNELS; channel++) {
    const first = start + channel
    for (let at = 0; at < length + 2 * RADIUS; at++) {
      const pixel = Math.min(Math.max(at - RADIUS, 0), length - 1)
      line[at] = pixels[first + pixel * step]
    }
    for (let at = 0; at < length; at++) {
      let sum = 0
      for (let i = 0; i < KERNEL.length; i++) sum += KERNEL[i] * line[at + i]
      pixels[first + at * step] = sum
    }
  }
}

const newLine = (length) => new Float32Array(length + 2 * RADIUS)

/** Blurs the rows from `from` up to `to` along themselves. */
export const blurRows = ({ pixels, width }, from, to) => {
  const line = newLine(width)
  for (let y = from; y < to; y++) blurLine(pixels, y * width * CHANNELS, CHANNELS, width, line)
}

/** Blurs the columns from `from` up to `to` along themselves. */
export const blurColumns = ({ pixels, width, height }, from, to) => {
  const line = newLine(height)
  for (let x = from; x < to; x++) blurLine(pixels, x * CHANNELS, width * CHANNELS, height, line)
}
