// Package local runs a whole federation in one process: every company, one
// aggregation node, the servers of the shared model and a querier.
//
// Nothing is simulated but the network: keys are made by a ceremony, rows and
// gradients are encrypted, and every message between two roles passes the
// codec as bytes; the node alone takes the public keys, on which all companies
// agree, from the first one's ceremony. What the process adds is what no deployment may have: it
// holds every key, so that it can compare what was computed under encryption
// with the cleartext twin.
package local
