// The goals of heaps that several processes have, of the figures that workloads/processes.js takes.

const ATTACHED = 'attached heap'
const milliseconds = (number) => `${number.toFixed(1)} ms`

const against = (column, limit) => ({
  what: `a heap of several processes, ${column}, against one of one process`,
  limit,
  measure: (find) => find('processes', ATTACHED, column)[0].ratio,
})

export const processGoals = [
  against('malloc and free, 64 B', 1.2),
  against('map, get', 1.3),
  {
    what: 'recover() with 1,000,000 live blocks',
    limit: 20,
    show: milliseconds,
    measure: (find) => find('processes recovery', ATTACHED, '1,000,000 live')[0].median,
  },
  {
    what: 'Channel to another process and back, against process.send',
    limit: 1,
    measure: (find) => find('processes round trip', 'Channel')[0].ratio,
  },
]
