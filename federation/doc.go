// Package federation says who owes what. What a node or a company's agent has
// to do next is a pure function of the ledger's state and of what it has done
// and holds itself: there is no coordinator, no lease, no leader (ROUNDS.md).
//
// It does no I/O, keeps no time, starts no goroutine and holds no key material:
// digests only. A driver (federation/node, federation/agent) asks for duties,
// carries one out, writes down that it did, and asks again. A duty that was
// carried out is not asked for again; a crash in between asks for it once more,
// and every duty gives the same bytes however often it is done. So to restart
// is to go on.
package federation
