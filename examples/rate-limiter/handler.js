// What each server does with a request, in whichever thread or process it runs. A request names its client; a client may send
// so many requests in a window of time, to whichever server, and has one session on all of them.

/**
 * @param {object} shared
 * @param {SharedMap} shared.limiter counts the requests of each client
 * @param {SharedMap} shared.sessions
 * @param {number} shared.limit requests of one client in one window
 * @param {string | number} name of the server
 */
export const handlerOf = ({ limiter, sessions, limit }, name) => {
  const visit = (client) =>
    sessions.update(client, (session = { client, visits: 0, servers: [] }) => ({
      ...session,
      visits: session.visits + 1,
      servers: [...new Set([...session.servers, name])],
    }))

  return (request, response) => {
    const { client } = request.headers
    // The first request of a client begins its window, at the end of which the count expires.
    if (limiter.increment(client) > limit) {
      response.writeHead(429).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json', server: name })
    response.end(JSON.stringify(visit(client)))
  }
}
