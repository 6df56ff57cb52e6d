// The goals of SharedMap, of the figures that workloads/maps.js takes: million calls a second.

const OURS = 'SharedMap'
const ONE_EACH = 'SharedMap, one each'
const ONE = '1 thread'
const TWO = '2 threads'
const GROUPS = ['maps get number', 'maps set number', 'maps get string', 'maps set string']

const nanoseconds = (number) => `${Math.round(number)} ns`
const median = ([entry]) => entry.median
const costOf = (find, group) => 1e3 / median(find(group, OURS, ONE))

const overLmdb = (find) =>
  GROUPS.flatMap((group) =>
    find(group, OURS).map(
      ({ column, median: ours }) => ours / median(find(group, 'lmdb-js', column)),
    ),
  )

// What sharing takes, of what the machine has for two threads at that moment.
const overOneEach = (find) =>
  GROUPS.flatMap((group) =>
    find(group, ONE_EACH, TWO).map(({ median: each }) => median(find(group, OURS, TWO)) / each),
  )

export const mapGoals = [
  {
    what: 'SharedMap, get of a number',
    limit: 100,
    show: nanoseconds,
    measure: (find) => costOf(find, 'maps get number'),
  },
  {
    what: 'SharedMap, get of 100 bytes of text',
    limit: 350,
    show: nanoseconds,
    measure: (find) => costOf(find, 'maps get string'),
  },
  {
    what: 'SharedMap, calls a second over those of lmdb-js, the worst row',
    atLeast: 1,
    measure: (find) => Math.min(...overLmdb(find)),
  },
  ...GROUPS.map((group) => ({
    what: `2 threads on one SharedMap against one, ${group.slice('maps '.length)}`,
    atLeast: 1.7,
    measure: (find) => find(group, OURS, TWO)[0].scaling,
  })),
  {
    what: '2 threads on one SharedMap against 2 with one each, calls a second, the worst row',
    atLeast: 0.85,
    measure: (find) => Math.min(...overOneEach(find)),
  },
]
