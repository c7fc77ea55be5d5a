// Package incentive says who is paid what, and why: it ranks the peers that
// offer models by what evaluators with stake think of them, values the data of
// providers, and divides a pot to the unit.
//
// Everything is a pure function of its arguments and computes in integers:
// [Fixed] (Q32.32) for rankings, math/big for values of data, largest remainder
// for money. There is no clock, no randomness, no floating-point number and no
// order of a map, so that any two machines agree to the bit. No function
// panics on what it is given.
//
// An epoch is closed by [Rank] (the stake-weighted median), [Merge] and [Credit]
// (which providers' values count), [Join] (what several evaluators agree on), and
// [Rates.Pools] with [Split] and [SettleModels], or [Payout].
// [CheckVectors] runs published vectors through that same code.
//
// Sources: Rao, "Bittensor: A Peer-to-Peer Intelligence Market"; the consensus
// of opentensor/subtensor; Wang et al., "Data Shapley in One Training Run"
// (arXiv 2406.11011), of which the value of data here is a first-order relative.
package incentive
