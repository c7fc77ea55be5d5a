// Package wire is where bytes of other companies and nodes become values. What
// it returns cannot be wrong in form; whether it is allowed is for others to
// say. Posts are the ledger's and ciphertexts are he's: what is left is the list
// of a contribution's ciphertexts, and the envelope of a query, with a querier's
// side of asking.
package wire
