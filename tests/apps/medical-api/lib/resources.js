'use strict';

// What the API keeps: a table each, with the columns that a client may set.

const { boolean, date, id, number, oneOf, text } = require('./fields');

module.exports = [
  {
    name: 'staff',
    orderBy: 'id',
    fields: {
      name: text({ required: true, max: 200 }),
      email: text({ max: 320 }),
      department: text({ max: 200 }),
      position: text({ max: 200 }),
      active: boolean(),
      hired_on: date(),
    },
  },
  {
    name: 'interviews',
    orderBy: 'interview_date DESC, id DESC',
    fields: {
      staff_id: id({ required: true }),
      interview_date: date({ required: true }),
      kind: oneOf(['regular', 'return', 'exit']),
      interviewer: text({ max: 200 }),
      notes: text({ max: 10000 }),
    },
  },
  {
    name: 'evaluations',
    orderBy: 'evaluation_period DESC, id DESC',
    fields: {
      staff_id: id({ required: true }),
      evaluation_period: text({ required: true, max: 20 }),
      score: number({ required: true, min: 0, max: 100 }),
      comment: text({ max: 10000 }),
    },
  },
];
