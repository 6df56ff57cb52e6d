// How long a thread looks for a message before it goes to sleep. Sleeping and waking takes microseconds, in which another thread
// that runs can have answered; on a busy machine the one who looks takes it the time to answer.

/** How long to look, and the longest between two looks, in turns of a loop: about a nanosecond each. */
const LEAST_TURNS = 256
const MOST_TURNS = 16_384
/**
 * Of so many looks in vain one is followed by the longest: two threads that both look only shortly never find out that they would have
 * answered each other.
 */
const VAIN_LOOKS = 64
const SHORTEST_PAUSE = 8
const LONGEST_PAUSE = 512

/** What a loop without any effect has done, so that no compiler leaves it out. */
let turned = 0

const pause = (turns) => {
  for (let turn = 0; turn < turns; turn++) turned = (turned + turn) | 0
}

/** How long one thread looks: longer while that spares it from sleeping. */
export class Patience {
  #turns = LEAST_TURNS
  #vain = 0

  /** @returns {boolean} whether a word has changed from a value meanwhile */
  look(words, index, value) {
    const changes = this.#changes(words, index, value)
    if (changes) this.#turns = Math.min(this.#turns * 2, MOST_TURNS)
    else if (++this.#vain % VAIN_LOOKS === 0) this.#turns = MOST_TURNS
    else this.#turns = Math.max(this.#turns / 2, LEAST_TURNS)
    return changes
  }

  // Each look takes the cache line away from the thread that is going to change it: they are further and further apart, and
  // then find several messages.
  #changes(words, index, value) {
    let turns = SHORTEST_PAUSE
    for (let left = this.#turns; left > 0; left -= turns) {
      if (Atomics.load(words, index) !== value) return true
      pause(turns)
      turns = Math.min(turns * 2, LONGEST_PAUSE)
    }
    return false
  }
}
