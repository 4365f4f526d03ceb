'use strict'

module.exports = require('fastify-duplex/compat')
