// Package agent is a company in a federation: it makes keys with the others,
// brings its rows, answers tickets with its share of the key and queries with
// its share of the model.
//
// What it has to do it is told by [federation.CompanyDuties]; whether it does so
// by its own policy, its own copy of the ledger and its own journal. Nothing is
// believed because a node says so: a blob is what its digest says, a share
// answers the inputs of a ticket and no others, and a gradient is taken at the
// point that the company's own map left. It dials out and is never dialled.
//
// What it says once it never says otherwise. Everything is derived from the
// company's seed and from what the ledger fixes, written to the journal before it
// leaves, and sent again, byte for byte, until the ledger shows its effect. What
// contradicts the journal stops the agent or is refused for good.
//
// [Agent.Work] is one round, without a goroutine or a clock; [Agent.Run] calls it
// whenever the ledger moves.
package agent
