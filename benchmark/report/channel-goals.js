// The goals of Channel, of the figures that workloads/channels.js takes, all of them over those of postMessage.

const OURS = 'Channel'
const SHORT = ['100 B, bytes', '100 B, text']

const ratios = (find, group, columns) =>
  columns.flatMap((column) => find(group, OURS, column)).map(({ ratio }) => ratio)

/** Objects are structured clone's own field. */
const columnsOf = (find, group) =>
  find(group, OURS)
    .map(({ column }) => column)
    .filter((column) => !column.endsWith('objects'))

export const channelGoals = [
  {
    what: 'Channel, messages of 100 bytes a second over those of postMessage, the worst',
    atLeast: 3,
    measure: (find) => Math.min(...ratios(find, 'structures channel', SHORT)),
  },
  {
    what: 'Channel, bytes and text of any size a second over those of postMessage, the worst',
    atLeast: 1,
    measure: (find) =>
      Math.min(...ratios(find, 'structures channel', columnsOf(find, 'structures channel'))),
  },
  {
    what: 'Channel, bytes and text of any size there and back against postMessage, the worst',
    limit: 1,
    measure: (find) =>
      Math.max(...ratios(find, 'structures round trip', columnsOf(find, 'structures round trip'))),
  },
]
