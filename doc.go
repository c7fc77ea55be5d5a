// Package commonseal is the root of a federated, homomorphic data-sharing
// service: companies train one model on rows that nobody but their owner can
// read, under a key that all of them made and none of them holds.
//
// There is nothing to import here. Start reading at README.md, then
// ARCHITECTURE.md, then package he (what is encrypted and how it becomes
// bytes), he/multiparty (what the parties do together), he/circuit (what is
// computed under encryption) and federation/local (all of it in one process).
//
// The tests of this package are the repository's own rules: arch_test.go is
// the table of who may import whom, habits_test.go what no file may contain.
package commonseal
