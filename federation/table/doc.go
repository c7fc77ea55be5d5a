// Package table reads a company's rows: numeric CSV with a header, one label
// column, every other column a feature.
//
// What it hands out cannot be wrong: every feature is finite and in [-1, 1],
// every label is -1 or +1, and both labels occur (law L12). What it refuses it
// refuses with one line that names file, row and column, and says what to do:
// see [CellError].
//
// A [Schema] is what companies agree on before they contribute: the columns,
// in order, their ranges, columns that everybody derives of them, and the label's
// two values. A table read without one
// takes its ranges from its own rows, which is right for a company alone and
// for a simulation; companies that share a model declare them.
//
// Nothing here keeps time or uses a random source of its own: the same file
// and the same seed give the same rows in the same parts.
package table
