'use strict';

const { parse } = require('../lib/bus');

/** One bus with any number of ends, as Redis or PostgreSQL would be; `state` is what health() says. */
function createBusPair() {
  const listeners = [];
  const bus = { state: { ok: true } };
  bus.tell = (message) => {
    const event = parse(message);
    if (event) for (const listener of listeners) listener(event);
  };
  bus.end = () => ({
    kind: 'pair',
    subscribe: (listener) => listeners.push(listener),
    publish: async (event) => {
      if (!bus.state.ok) throw new Error('the bus is down');
      bus.tell(JSON.stringify(event));
    },
    health: async () => bus.state,
    end: async () => {},
  });
  return bus;
}

module.exports = { createBusPair };
