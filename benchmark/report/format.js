// Numbers as the tables show them.

/** @returns {string} three significant digits, grouped */
export const figure = (number) =>
  number.toLocaleString('en', { maximumSignificantDigits: 3, minimumSignificantDigits: 2 })

/** @returns {string} a difference with its sign */
export const signed = (number) => `${number < 0 ? '−' : '+'}${Math.abs(number).toFixed(2)}`

/** @returns {string} a row of a Markdown table */
const row = (cells) => `| ${cells.join(' | ')} |`

/** @returns {string} a whole Markdown table */
export const table = (head, rows) =>
  [row(head), row(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(row)].join('\n')
